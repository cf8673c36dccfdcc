/**
 * The layout of an enclave image file (EIF): a header of 548 bytes, then sections without a gap, each with
 * a header of its own. All numbers are big endian. docs/image.md has the tables.
 */
import { ImageError } from "./errors.ts";

/** ".eif" */
export const MAGIC: Uint8Array = Uint8Array.of(0x2e, 0x65, 0x69, 0x66);
export const HEADER_BYTES = 548;
export const SECTION_HEADER_BYTES = 12;
export const MAX_SECTIONS = 32;

/** Where the fields of the header are. */
export const FIELD = {
  version: 4,
  flags: 6,
  memory: 8,
  cpus: 16,
  reserved: 24,
  sectionCount: 26,
  sectionOffsets: 28,
  sectionSizes: 284,
  unused: 540,
  /** CRC-32 over everything before it, then everything behind it. */
  checksum: 544,
} as const;

/** The header's only flag whose meaning for the measurements is known. */
export const FLAG_AARCH64 = 1;

/** Processors that enclaves have, by the names of their instruction sets. */
export type Architecture = "x86_64" | "aarch64";

export type ImageVersion = 2 | 3 | 4;

export type SectionKind = "kernel" | "command-line" | "ramdisk" | "signature" | "metadata";

const kindOfType: ReadonlyMap<number, SectionKind> = new Map([
  [1, "kernel"],
  [2, "command-line"],
  [3, "ramdisk"],
  [4, "signature"],
  [5, "metadata"],
]);

const typeOfKind: ReadonlyMap<SectionKind, number> = new Map(
  [...kindOfType].map(([type, kind]) => [kind, type]),
);

/** The most bytes that a section of a kind may have; kernels and ramdisks are bounded by the file. */
export const MAX_SECTION_BYTES: Readonly<Record<SectionKind, number>> = {
  kernel: Number.MAX_SAFE_INTEGER,
  "command-line": 65_536,
  ramdisk: Number.MAX_SAFE_INTEGER,
  signature: 32_768,
  metadata: 1_048_576,
};

/**
 * The kind of a section's type.
 *
 * @throws ImageError `unknown-section`.
 */
export function kindOf(type: number, index: number): SectionKind {
  const kind = kindOfType.get(type);
  if (kind === undefined) {
    throw new ImageError(
      "unknown-section",
      `section ${index}: expected a type from 1 to 5, received ${type}`,
    );
  }
  return kind;
}

/** The 12 bytes in front of a section's data. */
export function encodeSectionHeader(kind: SectionKind, sizeBytes: number): Uint8Array {
  const bytes = new Uint8Array(SECTION_HEADER_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, typeOfKind.get(kind) ?? 0);
  view.setBigUint64(4, BigInt(sizeBytes));
  return bytes;
}
