/**
 * Finds the kernel modules that an enclave needs in a directory, in the order in which they can be loaded.
 * Files may be plain, or compressed by gzip or xz as distributions have them.
 */
import { spawnSync } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { parseModuleInfo } from "./elf.ts";
import { ImageError } from "./errors.ts";
import type { KernelFacts } from "./kernel.ts";

export interface KernelModule {
  readonly name: string;
  readonly content: Uint8Array;
}

/**
 * What enclaves stand on: the security module, and VSOCK over virtio. A kernel has some of them built in,
 * so those that the directory does not have are passed over; an enclave without them refuses to start.
 */
const DEFAULT_MODULES: readonly string[] = ["virtio_mmio", "vmw_vsock_virtio_transport", "nsm"];
/** Far above any module that an enclave needs. */
const MAX_MODULE_BYTES = 64 * 1024 * 1024;

/**
 * The modules, and before each those that it depends on.
 *
 * @param names The modules that must be there; what the kernel has not built in of VSOCK and the security
 *   module when none are given.
 * @throws ImageError `unusable-input` when one is missing, or made for another kernel.
 */
export function findModules(
  folder: string,
  kernel: KernelFacts,
  names?: readonly string[],
): readonly KernelModule[] {
  const files = moduleFiles(folder);
  const wanted = names ?? DEFAULT_MODULES.filter((name) => files.has(name));
  const found = new Map<string, KernelModule>();
  const load = (name: string, path: readonly string[]) => {
    if (found.has(name)) return;
    const file = files.get(name);
    if (file === undefined) unusable(`the kernel module ${name} is not in ${folder}`);
    if (path.includes(name)) unusable(`the kernel module ${name} depends on itself`);
    const content = decompress(file);
    const { architecture, info } = parseModuleInfo(content, file);
    const release = info.get("vermagic")?.split(" ")[0];
    if (architecture !== kernel.architecture) unusable(`${file} is of ${architecture}`);
    if (kernel.release !== undefined && release !== kernel.release) {
      unusable(`${file} was made for kernel ${release}, the kernel is ${kernel.release}`);
    }
    const depends = info.get("depends")?.split(",") ?? [];
    for (const other of depends.filter(Boolean)) load(canonical(other), [...path, name]);
    found.set(name, { name, content });
  };
  for (const name of wanted) load(canonical(name), []);
  return [...found.values()];
}

/** The files in a directory and below it, by the names of their modules. */
function moduleFiles(folder: string): ReadonlyMap<string, string> {
  const names = readdirSync(folder, { recursive: true, encoding: "utf8" }).sort();
  const files = new Map<string, string>();
  for (const file of names) {
    const name = /([^/]+)\.ko(?:\.gz|\.xz)?$/.exec(file)?.[1];
    if (name === undefined) continue;
    const before = files.get(canonical(name));
    if (before !== undefined) unusable(`${folder} has a module twice: ${before}, ${file}`);
    files.set(canonical(name), join(folder, file));
  }
  return files;
}

/** File names may have a dash where the kernel's name has an underscore. */
function canonical(name: string): string {
  return name.replaceAll("-", "_");
}

function decompress(file: string): Uint8Array {
  const content = readFileSync(file);
  if (file.endsWith(".gz")) {
    try {
      return gunzipSync(content, { maxOutputLength: MAX_MODULE_BYTES });
    } catch (cause) {
      throw new ImageError("unusable-input", `${file} is not compressed by gzip`, { cause });
    }
  }
  if (!file.endsWith(".xz")) return content;
  const { status, stdout, error } = spawnSync("xz", ["-dc"], {
    input: content,
    maxBuffer: MAX_MODULE_BYTES,
  });
  if (error !== undefined || status !== 0) {
    throw new ImageError("unusable-input", `${file}: \`xz -dc\` does not decompress it`, {
      cause: error,
    });
  }
  return stdout;
}

function unusable(message: string): never {
  throw new ImageError("unusable-input", message);
}
