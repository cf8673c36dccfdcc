/** What a ramdisk is made of: files, directories, links and devices by their paths. */
import { lstatSync, readFileSync, readdirSync, readlinkSync, statSync } from "node:fs";
import { join, posix } from "node:path";
import { ImageError } from "./errors.ts";

/** Where the application's root file system is in its ramdisk. */
export const ROOT = "rootfs";

export type TreeEntry =
  | { readonly kind: "directory"; readonly mode: number }
  | { readonly kind: "file"; readonly mode: number; readonly content: Uint8Array }
  | { readonly kind: "link"; readonly mode: number; readonly target: string }
  | {
      readonly kind: "device";
      readonly mode: number;
      readonly major: number;
      readonly minor: number;
    };

/** Paths are relative, with `/` between their parts; directories that are missing are made. */
export class FileTree {
  readonly #entries = new Map<string, TreeEntry>();

  /** Sorted by the bytes of their paths, so a directory comes before what is in it. */
  entries(): readonly (readonly [path: string, entry: TreeEntry])[] {
    return [...this.#entries]
      .map(([path, entry]) => ({ path, entry, key: Buffer.from(path) }))
      .sort((a, b) => Buffer.compare(a.key, b.key))
      .map(({ path, entry }) => [path, entry]);
  }

  find(path: string): TreeEntry | undefined {
    return this.#entries.get(path);
  }

  addDirectory(path: string, mode: number = 0o755): void {
    this.#add(path, { kind: "directory", mode });
  }

  addFile(path: string, content: Uint8Array | string, mode: number = 0o644): void {
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
    this.#add(path, { kind: "file", mode, content: bytes });
  }

  addLink(path: string, target: string): void {
    this.#add(path, { kind: "link", mode: 0o777, target });
  }

  addDevice(path: string, mode: number, major: number, minor: number): void {
    this.#add(path, { kind: "device", mode, major, minor });
  }

  /**
   * Adds a directory of this machine with everything in it that `admits` lets in. Of modes only whether
   * its owner may execute a file is kept, so that the machine's own settings do not show.
   *
   * @throws ImageError `unusable-input` for sockets and devices, and links that lead out of it.
   */
  addFolder(path: string, folder: string, admits: (inside: string) => boolean = () => true): void {
    if (!statSync(folder).isDirectory()) unusable(`${folder} is no directory`);
    this.addDirectory(path);
    const visit = (inside: string) => {
      for (const { name } of readdirSync(join(folder, inside), { withFileTypes: true })) {
        const next = posix.join(inside, name);
        if (admits(next)) this.#copy(posix.join(path, next), folder, next, visit);
      }
    };
    visit("");
  }

  /** Adds one file or link of a folder; of a directory nothing but itself. */
  addFrom(path: string, folder: string, inside: string): void {
    this.#copy(path, folder, inside, () => {});
  }

  #copy(path: string, folder: string, inside: string, visit: (inside: string) => void): void {
    const source = join(folder, inside);
    // A name that is no UTF-8 comes with replacement characters, under which there is no file.
    const stat = lstatSync(source, { throwIfNoEntry: false });
    if (stat === undefined) unusable(`${source} is not there, or its name is no UTF-8`);
    if (stat.isSymbolicLink()) this.addLink(path, targetOf(source, inside, path));
    else if (stat.isDirectory()) {
      this.addDirectory(path);
      visit(inside);
    } else if (stat.isFile()) {
      this.addFile(path, readFileSync(source), (stat.mode & 0o100) === 0 ? 0o644 : 0o755);
    } else unusable(`${source} is neither a file, a directory nor a link`);
  }

  #add(path: string, entry: TreeEntry): void {
    const parts = path.split("/");
    if (parts.some((part) => ["", ".", ".."].includes(part)) || path.includes("\0")) {
      throw new RangeError(`${JSON.stringify(path)} is no path inside of a tree`);
    }
    if (path === "TRAILER!!!") unusable("a file of the name that ends an archive");
    const parent = posix.dirname(path);
    if (parent !== ".") {
      const above = this.#entries.get(parent);
      if (above === undefined) this.addDirectory(parent);
      else if (above.kind !== "directory") unusable(`${parent} is no directory, for ${path}`);
    }
    const before = this.#entries.get(path);
    if (before !== undefined && before.kind !== entry.kind) {
      unusable(`${path} is a ${before.kind} and a ${entry.kind}`);
    }
    this.#entries.set(path, entry);
  }
}

/** Where a link leads, which must be inside of its folder; in a root file system absolute links do. */
function targetOf(source: string, inside: string, path: string): string {
  const target = readlinkSync(source);
  const isRoot = path === posix.join(ROOT, inside);
  const reached = posix.normalize(posix.join(posix.dirname(inside), target));
  const leaves = posix.isAbsolute(target) ? !isRoot : reached === ".." || reached.startsWith("../");
  if (leaves) unusable(`${source} links to ${target}, which will not be in the image`);
  return target;
}

function unusable(message: string): never {
  throw new ImageError("unusable-input", message);
}
