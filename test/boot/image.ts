/** Builds images with `sealrpc image build`, as a user would, and takes them apart for QEMU. */
import {
  closeSync,
  cpSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { readImageFile } from "../../image/index.ts";
import { runProgram } from "../support/processes.ts";
import { repositoryRoot } from "../support/repository.ts";
import type { BootPrograms } from "./programs.ts";

export interface Image {
  readonly path: string;
  /** PCR0, PCR1 and PCR2 in hex, as `image build` printed them. */
  readonly measurements: { readonly pcr0: string; readonly pcr1: string; readonly pcr2: string };
  readonly kernel: string;
  readonly ramdisks: string;
  readonly commandLine: string;
}

/** What is started in it. */
export interface Start {
  /** Below the build's folder. */
  readonly script: string;
  readonly args?: readonly string[];
  /** Node's executable; the one that runs the tests unless given. */
  readonly node?: string;
  /** Of the kernel; those that every enclave needs unless given. */
  readonly modules?: readonly string[];
}

/** Builds an image of a project's programs into a folder; of a project without a lock file as it is. */
export async function buildImage(
  folder: string,
  project: string,
  { kernel, modules, busybox }: BootPrograms,
  { script, args = [], node, modules: names = [] }: Start,
): Promise<Image> {
  mkdirSync(folder, { recursive: true });
  const path = join(folder, "image.eif");
  const kind = existsSync(join(project, "package-lock.json")) ? "--npm" : "--app";
  const application = [kind, project, "--start", `dist/${script}`];
  const boot = ["--kernel", kernel, "--modules", modules, "--busybox", busybox];
  boot.push(...names.flatMap((name) => ["--module", name]));
  const runtime = node === undefined ? [] : ["--node", node];
  const result = ["--output", path, "--json"];
  const options = [...application, ...boot, ...runtime, ...result];
  const { status, stdout, stderr } = await runProgram(
    "cli/main.js",
    "image",
    "build",
    ...options,
    "--",
    ...args,
  );
  if (status !== 0) throw new Error(`image build: ${stderr}`);
  const { measurements } = JSON.parse(stdout) as Pick<Image, "measurements">;
  return { path, measurements, ...takeApart(path, folder) };
}

/** This repository as a project that publishes its examples and tests too, and needs what they do. */
export function stageProject(folder: string): string {
  mkdirSync(folder, { recursive: true });
  for (const part of ["dist", "gen"]) {
    cpSync(join(repositoryRoot, part), join(folder, part), { recursive: true });
  }
  symlinkSync(join(repositoryRoot, "node_modules"), join(folder, "node_modules"));
  const manifest = readJson("package.json");
  writeJson(folder, "package.json", { ...manifest, files: ["dist", "gen"] });
  const lock = readJson("package-lock.json") as { packages: Record<string, { dev?: boolean }> };
  // A peer for those who install the package, and no more than that for npm.
  delete lock.packages["node_modules/@bufbuild/protobuf"]?.dev;
  writeJson(folder, "package-lock.json", lock);
  return folder;
}

function readJson(name: string): object {
  return JSON.parse(readFileSync(join(repositoryRoot, name), "utf8")) as object;
}

function writeJson(folder: string, name: string, value: object): void {
  writeFileSync(join(folder, name), JSON.stringify(value));
}

/** The parts that a boot loader would put into memory. */
function takeApart(path: string, folder: string): Omit<Image, "path" | "measurements"> {
  const { sections, commandLine } = readImageFile(path);
  const file = openSync(path, "r");
  const write = (name: string, kind: "kernel" | "ramdisk"): string => {
    const parts = sections
      .filter((section) => section.kind === kind)
      .map(({ offset, sizeBytes }) => {
        const bytes = Buffer.alloc(sizeBytes);
        readSync(file, bytes, 0, sizeBytes, offset);
        return bytes;
      });
    writeFileSync(join(folder, name), Buffer.concat(parts));
    return join(folder, name);
  };
  try {
    const kernel = write("kernel", "kernel");
    return { kernel, ramdisks: write("ramdisks", "ramdisk"), commandLine };
  } finally {
    closeSync(file);
  }
}
