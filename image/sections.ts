/**
 * The sections of an image file (docs/image.md). They must stand one behind the other in the order of the
 * header's table, filling the file, so that a reader that follows the table and one that follows the file
 * see the same image.
 */
import { ImageError } from "./errors.ts";
import type { ImageHeader } from "./header.ts";
import {
  HEADER_BYTES,
  kindOf,
  MAX_SECTION_BYTES,
  SECTION_HEADER_BYTES,
  type SectionKind,
} from "./layout.ts";
import type { ImageSource } from "./source.ts";

export interface Section {
  readonly kind: SectionKind;
  /** Where its data begins, behind its header. */
  readonly offset: number;
  readonly sizeBytes: number;
}

/**
 * Finds the sections that the header names.
 *
 * @throws ImageError `overlapping-sections`, `gap`, `truncated`, `unknown-section`, `malformed-section`,
 *   `wrong-section-count`, `wrong-section-order`.
 */
export function parseSections(source: ImageSource, header: ImageHeader): readonly Section[] {
  let end = HEADER_BYTES;
  const sections = header.places.map(({ offset, sizeBytes }, index) => {
    expectPlace(offset, end, index);
    const needed = BigInt(end + SECTION_HEADER_BYTES) + sizeBytes;
    if (needed > BigInt(source.sizeBytes)) {
      throw new ImageError(
        "truncated",
        `section ${index} ends at ${needed}, the file at ${source.sizeBytes}`,
      );
    }
    const section = parseSection(source, end, Number(sizeBytes), index);
    end = Number(needed);
    return section;
  });
  if (end !== source.sizeBytes) {
    throw new ImageError("gap", `${source.sizeBytes - end} bytes behind the last section`);
  }
  expectCounts(sections, header);
  expectOrder(sections);
  return sections;
}

function expectPlace(offset: bigint, end: number, index: number): void {
  if (offset < BigInt(end)) {
    throw new ImageError(
      "overlapping-sections",
      `section ${index} begins at ${offset}, inside of what ends at ${end}`,
    );
  }
  if (offset > BigInt(end)) {
    throw new ImageError(
      "gap",
      `${offset - BigInt(end)} bytes in front of section ${index} are of no section`,
    );
  }
}

function parseSection(
  source: ImageSource,
  offset: number,
  sizeBytes: number,
  index: number,
): Section {
  const bytes = source.read(offset, SECTION_HEADER_BYTES);
  const view = new DataView(bytes.buffer, bytes.byteOffset, SECTION_HEADER_BYTES);
  const kind = kindOf(view.getUint16(0), index);
  const flags = view.getUint16(2);
  if (flags !== 0) malformed(`section ${index} (${kind}): expected no flags, received ${flags}`);
  const stated = view.getBigUint64(4);
  if (stated !== BigInt(sizeBytes)) {
    malformed(
      `section ${index} (${kind}) has ${stated} bytes, the image's header says ${sizeBytes}`,
    );
  }
  if (sizeBytes > MAX_SECTION_BYTES[kind]) {
    malformed(
      `section ${index} (${kind}): expected at most ${MAX_SECTION_BYTES[kind]} bytes, received ${sizeBytes}`,
    );
  }
  return { kind, offset: offset + SECTION_HEADER_BYTES, sizeBytes };
}

function expectCounts(sections: readonly Section[], { version }: ImageHeader): void {
  const expected: Readonly<Record<SectionKind, readonly [least: number, most: number]>> = {
    kernel: [1, 1],
    "command-line": [1, 1],
    ramdisk: [1, Infinity],
    signature: [0, version >= 3 ? 1 : 0],
    metadata: version === 4 ? [1, 1] : [0, 0],
  };
  for (const [kind, [least, most]] of Object.entries(expected)) {
    const count = sections.filter((section) => section.kind === kind).length;
    if (count < least || count > most) {
      const wanted = least === most ? `${least}` : `${least} or ${most === 1 ? "1" : "more"}`;
      throw new ImageError(
        "wrong-section-count",
        `version ${version}: expected ${wanted} of kind ${kind}, received ${count}`,
      );
    }
  }
}

/**
 * Invariant: a builder hashes kernel, command line, ramdisks; a reader hashes as the file has them.
 * Where the orders differ, two measurements could be told of one file.
 */
function expectOrder(sections: readonly Section[]): void {
  const measured = sections.map(({ kind }) => kind).filter((kind) => rank(kind) >= 0);
  if (measured.some((kind, i) => rank(kind) < rank(measured[i - 1] ?? kind))) {
    throw new ImageError(
      "wrong-section-order",
      `expected kernel, command line, ramdisks, received ${measured.join(", ")}`,
    );
  }
}

function rank(kind: SectionKind): number {
  return ["kernel", "command-line", "ramdisk"].indexOf(kind);
}

function malformed(message: string): never {
  throw new ImageError("malformed-section", message);
}
