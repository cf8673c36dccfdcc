/**
 * What an npm project brings into an image: the files that npm would publish, and the installed packages
 * that its lock file has for production. Nothing is downloaded, and no script runs.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ImageError } from "./errors.ts";
import type { FileTree } from "./file-tree.ts";

interface LockedPackage {
  readonly version?: string;
  readonly dev?: boolean;
  readonly optional?: boolean;
  /** For development, and optional for production. */
  readonly devOptional?: boolean;
  readonly link?: boolean;
}

/** What a project's package.json says. */
export interface PackageFacts {
  readonly name?: string;
  readonly version?: string;
  readonly main?: string;
}

/**
 * Reads a package.json, if there is one.
 *
 * @throws ImageError `unusable-input` for one that is no JSON object.
 */
export function readPackage(folder: string): PackageFacts {
  const path = join(folder, "package.json");
  if (!existsSync(path)) return {};
  const facts = readJson(path);
  const text = (key: keyof PackageFacts) => {
    const value = facts[key];
    return typeof value === "string" ? { [key]: value } : {};
  };
  return { ...text("name"), ...text("version"), ...text("main") };
}

/**
 * Adds a project to a tree.
 *
 * @throws ImageError `unusable-input` when it has no lock file of version 2 or newer, or when packages
 *   are not installed as it says.
 */
export function addNpmProject(tree: FileTree, path: string, folder: string): void {
  tree.addDirectory(path);
  for (const file of publishedFiles(folder)) tree.addFrom(`${path}/${file}`, folder, file);
  for (const [place, locked] of lockedPackages(folder)) {
    if (!isInstalled(folder, place, locked)) continue;
    // Packages inside of a package are in the lock file on their own.
    const admits = (inside: string) => !/(^|\/)node_modules$/.test(inside);
    tree.addFolder(`${path}/${place}`, join(folder, place), admits);
  }
}

function publishedFiles(folder: string): readonly string[] {
  const { status, stdout, stderr, error } = spawnSync(
    "npm",
    ["pack", "--dry-run", "--json", "--ignore-scripts", "--offline"],
    { cwd: folder, encoding: "utf8", maxBuffer: 256 * 1024 * 1024 },
  );
  if (status !== 0) unusable(`npm does not pack ${folder}: ${error?.message ?? stderr}`);
  const packed = JSON.parse(stdout) as readonly {
    readonly files: readonly { readonly path: string }[];
  }[];
  const files = packed.flatMap(({ files: list }) => list.map(({ path }) => path));
  return files.filter((file) => !file.startsWith("node_modules/"));
}

/** Packages for production, by their directories. */
function lockedPackages(folder: string): readonly (readonly [string, LockedPackage])[] {
  const path = join(folder, "package-lock.json");
  if (!existsSync(path))
    unusable(`${folder} has no package-lock.json, so what belongs to it is open`);
  const { packages } = readJson(path);
  if (typeof packages !== "object" || packages === null) {
    unusable(`${path} is of version 1: npm 7 or newer writes what is needed`);
  }
  return Object.entries(packages as Readonly<Record<string, LockedPackage>>).filter(
    ([place, { dev }]) => place !== "" && dev !== true,
  );
}

function isInstalled(
  folder: string,
  place: string,
  { version, optional, devOptional, link }: LockedPackage,
) {
  if (link === true || !place.startsWith("node_modules/") || place.split("/").includes("..")) {
    unusable(`${place} is a package outside of node_modules: pack it into the project first`);
  }
  const installed = existsSync(join(folder, place, "package.json"));
  if (!installed && optional !== true && devOptional !== true)
    unusable(`${place} is not installed: run \`npm ci\``);
  if (installed && readPackage(join(folder, place)).version !== version) {
    unusable(`${place} is not of version ${version}, as the lock file says: run \`npm ci\``);
  }
  return installed;
}

function readJson(path: string): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, "utf8"));
  } catch (cause) {
    throw new ImageError("unusable-input", `${path} is no JSON`, { cause });
  }
  if (typeof value !== "object" || value === null) unusable(`${path} holds no JSON object`);
  return value as Readonly<Record<string, unknown>>;
}

function unusable(message: string): never {
  throw new ImageError("unusable-input", message);
}
