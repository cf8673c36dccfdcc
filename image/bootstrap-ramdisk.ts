/** The first ramdisk: what makes an enclave of the kernel before the application starts. PCR1 measures it. */
import { readFileSync } from "node:fs";
import { initApplets, initScript } from "./boot/init-script.ts";
import { heartbeatProgram, seedProgram } from "./boot/programs.ts";
import { parseElf } from "./elf.ts";
import { ImageError } from "./errors.ts";
import { FileTree } from "./file-tree.ts";
import type { KernelModule } from "./kernel-modules.ts";
import type { Architecture } from "./layout.ts";

export interface BootstrapOptions {
  readonly architecture: Architecture;
  /** Path of a busybox that is linked statically. */
  readonly busybox: string;
  /** In the order in which they are loaded. */
  readonly modules: readonly KernelModule[];
  /** The VSOCK address of the parent instance. */
  readonly parentCid: number;
}

/**
 * The files of the bootstrap.
 *
 * @throws ImageError `unusable-input` for a busybox that cannot run by itself in the enclave.
 */
export function bootstrapTree(options: BootstrapOptions): FileTree {
  const { architecture, modules, parentCid } = options;
  const busybox = readFileSync(options.busybox);
  const elf = parseElf(busybox, options.busybox);
  if (elf.architecture !== architecture || elf.interpreter !== undefined) {
    throw new ImageError(
      "unusable-input",
      `${options.busybox}: expected a static executable of ${architecture} (Debian: busybox-static)`,
    );
  }
  const tree = new FileTree();
  for (const place of ["proc", "sys", "dev"]) tree.addDirectory(place);
  // The kernel opens it for the first program, before anything is mounted.
  tree.addDevice("dev/console", 0o600, 5, 1);
  tree.addFile("init", initScript, 0o755);
  tree.addFile("bin/busybox", busybox, 0o755);
  for (const applet of initApplets) tree.addLink(`bin/${applet}`, "busybox");
  tree.addFile("bin/seed", seedProgram(architecture), 0o755);
  tree.addFile("bin/heartbeat", heartbeatProgram(architecture, parentCid), 0o755);
  tree.addDirectory("modules");
  modules.forEach(({ name, content }, i) => {
    tree.addFile(`modules/${`${i}`.padStart(3, "0")}-${name}.ko`, content);
  });
  return tree;
}
