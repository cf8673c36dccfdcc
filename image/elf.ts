/** What a build must know of executables, libraries and kernel modules (ELF, 64 bits, little endian). */
import { ImageError } from "./errors.ts";
import type { Architecture } from "./layout.ts";

export interface ElfFile {
  readonly architecture: Architecture;
  /** The dynamic loader; undefined for a static executable, and for libraries and modules. */
  readonly interpreter: string | undefined;
  /** Names of the libraries that it is linked with. */
  readonly needed: readonly string[];
  /** Directories to look for them first; may begin with `$ORIGIN`. */
  readonly runPaths: readonly string[];
}

const PT_LOAD = 1;
const PT_DYNAMIC = 2;
const PT_INTERP = 3;
const DT_NEEDED = 1n;
const DT_STRTAB = 5n;
const DT_RPATH = 15n;
const DT_RUNPATH = 29n;
const architectures: ReadonlyMap<number, Architecture> = new Map([
  [62, "x86_64"],
  [183, "aarch64"],
]);

/** Whether bytes begin as an ELF file does. */
export function isElf(bytes: Uint8Array): boolean {
  return [0x7f, 0x45, 0x4c, 0x46].every((byte, i) => bytes[i] === byte);
}

/**
 * Reads what an executable or library is linked with; `name` is for the error's text.
 *
 * @throws ImageError `unusable-input`.
 */
export function parseElf(bytes: Uint8Array, name: string): ElfFile {
  return guarded(name, () => {
    const view = viewOf(bytes, name);
    const architecture = architectureOf(view, name);
    const segments = table(view, 32, 54, 56).map((at) => ({
      type: view.getUint32(at, true),
      offset: number(view, at + 8),
      address: number(view, at + 16),
      sizeBytes: number(view, at + 32),
    }));
    const interpreter = segments.find(({ type }) => type === PT_INTERP);
    const dynamic = segments.find(({ type }) => type === PT_DYNAMIC);
    const entries = dynamic === undefined ? [] : dynamicEntries(view, dynamic);
    const strings = entries.find(([tag]) => tag === DT_STRTAB)?.[1] ?? 0;
    const load = segments.find(
      ({ type, address, sizeBytes }) =>
        type === PT_LOAD && strings >= address && strings < address + sizeBytes,
    );
    const texts = (...tags: readonly bigint[]) =>
      entries
        .filter(([tag]) => tags.includes(tag))
        .map(([, at]) =>
          stringAt(bytes, strings - (load?.address ?? 0) + (load?.offset ?? 0) + at),
        );
    return {
      architecture,
      interpreter: interpreter === undefined ? undefined : stringAt(bytes, interpreter.offset),
      needed: texts(DT_NEEDED),
      runPaths: texts(DT_RPATH, DT_RUNPATH).flatMap((list) => list.split(":")),
    };
  });
}

/**
 * The strings `key=value` that a kernel module tells about itself.
 *
 * @throws ImageError `unusable-input` for what is no kernel module.
 */
export function parseModuleInfo(
  bytes: Uint8Array,
  name: string,
): { readonly architecture: Architecture; readonly info: ReadonlyMap<string, string> } {
  return guarded(name, () => {
    const view = viewOf(bytes, name);
    const architecture = architectureOf(view, name);
    const sections = table(view, 40, 58, 60).map((at) => ({
      name: view.getUint32(at, true),
      offset: number(view, at + 24),
      sizeBytes: number(view, at + 32),
    }));
    const names = sections[view.getUint16(62, true)]?.offset ?? 0;
    const info = sections.find((section) => stringAt(bytes, names + section.name) === ".modinfo");
    if (info === undefined) unusable(name, "no kernel module");
    const text = new TextDecoder().decode(slice(bytes, info.offset, info.sizeBytes));
    const pairs = text
      .split("\0")
      .filter((line) => line.includes("="))
      .map((line) => {
        const at = line.indexOf("=");
        return [line.slice(0, at), line.slice(at + 1)] as const;
      });
    return { architecture, info: new Map(pairs) };
  });
}

function viewOf(bytes: Uint8Array, name: string): DataView {
  if (!isElf(bytes) || bytes[4] !== 2 || bytes[5] !== 1) {
    unusable(name, "no ELF file of 64 bits, little endian");
  }
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

function architectureOf(view: DataView, name: string): Architecture {
  const architecture = architectures.get(view.getUint16(18, true));
  return architecture ?? unusable(name, "of an architecture that enclaves do not have");
}

/** Where the entries of a table begin, whose place, entry size and length are at these offsets. */
function table(view: DataView, place: number, size: number, count: number): readonly number[] {
  const [start, step] = [number(view, place), view.getUint16(size, true)];
  return Array.from({ length: view.getUint16(count, true) }, (_, i) => start + i * step);
}

function dynamicEntries(
  view: DataView,
  { offset, sizeBytes }: { readonly offset: number; readonly sizeBytes: number },
): readonly (readonly [tag: bigint, value: number])[] {
  const entries: (readonly [bigint, number])[] = [];
  for (let at = offset; at < offset + sizeBytes; at += 16) {
    const tag = view.getBigUint64(at, true);
    if (tag === 0n) break;
    entries.push([tag, number(view, at + 8)]);
  }
  return entries;
}

function number(view: DataView, at: number): number {
  return Number(view.getBigUint64(at, true));
}

function slice(bytes: Uint8Array, at: number, length: number): Uint8Array {
  if (at < 0 || length < 0 || at + length > bytes.length) throw new RangeError("beyond the file");
  return bytes.subarray(at, at + length);
}

/** The text up to the next NUL. */
function stringAt(bytes: Uint8Array, at: number): string {
  const end = bytes.indexOf(0, at);
  if (at < 0 || end < 0 || end - at > 4096) throw new RangeError("beyond the file");
  return new TextDecoder().decode(bytes.subarray(at, end));
}

/** A view throws RangeError for what lies beyond the file. */
function guarded<T>(name: string, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    if (cause instanceof ImageError) throw cause;
    throw new ImageError("unusable-input", `${name}: a broken ELF file`, { cause });
  }
}

function unusable(name: string, what: string): never {
  throw new ImageError("unusable-input", `${name} is ${what}`);
}
