/**
 * Finds the shared libraries of executables, as the dynamic loader would, without running anything: what
 * is found here stands at the same path in the image.
 */
import { existsSync, readFileSync } from "node:fs";
import { posix } from "node:path";
import { type ElfFile, isElf, parseElf } from "./elf.ts";
import { ImageError } from "./errors.ts";
import type { Architecture } from "./layout.ts";

/** Directories that a loader without a cache looks into, by multiarch and by its own tradition. */
const directories: Readonly<Record<Architecture, readonly string[]>> = {
  x86_64: ["/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64", "/usr/lib64"],
  aarch64: ["/lib/aarch64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/lib64", "/usr/lib64"],
};
const anyArchitecture: readonly string[] = ["/lib", "/usr/lib"];

/** Collects libraries of one architecture. */
export class Libraries {
  readonly #architecture: Architecture;
  readonly #found = new Map<string, Uint8Array>();
  readonly #known = new Set<string>();

  constructor(architecture: Architecture) {
    this.#architecture = architecture;
  }

  /** By their paths. */
  get found(): ReadonlyMap<string, Uint8Array> {
    return this.#found;
  }

  /**
   * Adds what an executable needs, its loader included, and what that needs in turn.
   *
   * @throws ImageError `unusable-input` when something is missing or of another architecture.
   */
  add(name: string, content: Uint8Array): void {
    const missing = this.#addNeeds(parseElf(content, name), () => false);
    if (missing.length > 0) {
      throw new ImageError("unusable-input", `${name} needs ${missing.join(", ")}, not found here`);
    }
  }

  /**
   * Adds what a native addon needs, and says what of it is missing.
   *
   * @param path Its path in the image.
   * @param isThere Whether a path is in the image already: addons may bring libraries along.
   */
  addForAddon(
    path: string,
    content: Uint8Array,
    isThere: (path: string) => boolean,
  ): readonly string[] {
    if (!isElf(content)) return ["a file that is ELF"];
    const elf = parseElf(content, path);
    if (elf.architecture !== this.#architecture) return [`a file of ${this.#architecture}`];
    const beside = elf.runPaths.map((folder) =>
      posix.normalize(folder.replace(/\$ORIGIN|\$\{ORIGIN\}/, posix.dirname(path))),
    );
    return this.#addNeeds(elf, (name) => beside.some((folder) => isThere(`${folder}/${name}`)));
  }

  #addNeeds(elf: ElfFile, isBrought: (name: string) => boolean): readonly string[] {
    const missing: string[] = [];
    const names = elf.interpreter === undefined ? elf.needed : [elf.interpreter, ...elf.needed];
    for (const name of names) {
      if (this.#known.has(name) || isBrought(name)) continue;
      const place = this.#find(name);
      if (place === undefined) {
        missing.push(name);
        continue;
      }
      // The loader's own name stands among what libraries need, too.
      this.#known.add(name).add(posix.basename(name));
      const library = readFileSync(place);
      this.#found.set(place, library);
      missing.push(...this.#addNeeds(parseElf(library, place), isBrought));
    }
    return missing;
  }

  #find(name: string): string | undefined {
    const places = name.startsWith("/")
      ? [name]
      : [...directories[this.#architecture], ...anyArchitecture].map(
          (folder) => `${folder}/${name}`,
        );
    return places.find((place) => existsSync(place) && this.#fits(place));
  }

  /** The loader passes over libraries of other architectures. */
  #fits(place: string): boolean {
    const content = readFileSync(place);
    return isElf(content) && parseElf(content, place).architecture === this.#architecture;
  }
}
