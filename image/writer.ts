/** Writes image files of version 4 (docs/image.md), and measures them on the way. */
import { crc32 } from "node:zlib";
import { ImageError } from "./errors.ts";
import {
  type Architecture,
  encodeSectionHeader,
  FIELD,
  FLAG_AARCH64,
  HEADER_BYTES,
  MAGIC,
  MAX_SECTION_BYTES,
  MAX_SECTIONS,
  SECTION_HEADER_BYTES,
  type SectionKind,
} from "./layout.ts";
import { type Measurements, Measurer } from "./measurement.ts";
import { encodeMetadata, type ImageMetadata } from "./metadata.ts";
import { type ImageSigner, signImage } from "./signature.ts";

/** Bytes in pieces, in order: a ramdisk is made of many files, and copying them would double the memory. */
type Pieces = readonly Uint8Array[];

export interface ImageParts {
  readonly architecture: Architecture;
  readonly kernel: Uint8Array;
  readonly commandLine: string;
  readonly metadata: ImageMetadata;
  /** The bootstrap's first; each a multiple of 4 bytes long, since the kernel finds them glued together. */
  readonly ramdisks: readonly Pieces[];
  readonly signer?: ImageSigner;
}

export interface EncodedImage {
  /** The file. */
  readonly pieces: Pieces;
  readonly measurements: Measurements;
}

/** What the header asks for when whoever starts the image names nothing; not measured. */
const MEMORY_BYTES = 1_073_741_824n;
const CPUS = 2n;
/** The kernel cuts a longer command line (x86_64), so that it would not run as it was measured. */
const MAX_COMMAND_LINE_BYTES = 2047;

/**
 * Encodes an image; the same parts give the same bytes, but for a signature.
 *
 * @throws ImageError `unusable-input` when the parts make no image.
 */
export function encodeImage(parts: ImageParts): EncodedImage {
  const { kernel, ramdisks, signer } = parts;
  const commandLine = encodeCommandLine(parts.commandLine);
  if (kernel.length === 0) unusable("the kernel is empty");
  if (ramdisks.length === 0) unusable("there is no ramdisk");
  if (ramdisks.some((pieces) => sizeOf(pieces) % 4 !== 0)) {
    unusable("a ramdisk's size is no multiple of 4");
  }
  const measurer = new Measurer();
  measurer.add("kernel", 0, kernel);
  measurer.add("command-line", 0, commandLine);
  ramdisks.forEach((pieces, i) => pieces.forEach((piece) => measurer.add("ramdisk", i, piece)));
  const measurements = measurer.finish(signer?.certificate);
  const sections: (readonly [SectionKind, Pieces])[] = [
    ["kernel", [kernel]],
    ["command-line", [commandLine]],
    ["metadata", [encodeMetadata(parts.metadata)]],
    ...ramdisks.map((pieces) => ["ramdisk", pieces] as const),
  ];
  if (signer !== undefined) sections.push(["signature", [signImage(signer, measurements.pcr0)]]);
  return { pieces: encodeSections(parts.architecture, sections), measurements };
}

function encodeSections(
  architecture: Architecture,
  sections: readonly (readonly [SectionKind, Pieces])[],
): Pieces {
  if (sections.length > MAX_SECTIONS) unusable(`more than ${MAX_SECTIONS} sections`);
  const header = new Uint8Array(HEADER_BYTES);
  const view = new DataView(header.buffer);
  header.set(MAGIC);
  view.setUint16(FIELD.version, 4);
  view.setUint16(FIELD.flags, architecture === "aarch64" ? FLAG_AARCH64 : 0);
  view.setBigUint64(FIELD.memory, MEMORY_BYTES);
  view.setBigUint64(FIELD.cpus, CPUS);
  view.setUint16(FIELD.sectionCount, sections.length);
  let offset = HEADER_BYTES;
  const body = sections.flatMap(([kind, pieces], i) => {
    const sizeBytes = sizeOf(pieces);
    if (sizeBytes > MAX_SECTION_BYTES[kind]) {
      unusable(`${kind}: expected at most ${MAX_SECTION_BYTES[kind]} bytes, received ${sizeBytes}`);
    }
    view.setBigUint64(FIELD.sectionOffsets + 8 * i, BigInt(offset));
    view.setBigUint64(FIELD.sectionSizes + 8 * i, BigInt(sizeBytes));
    offset += SECTION_HEADER_BYTES + sizeBytes;
    return [encodeSectionHeader(kind, sizeBytes), ...pieces];
  });
  let checksum = crc32(header.subarray(0, FIELD.checksum));
  for (const piece of body) checksum = crc32(piece, checksum);
  view.setUint32(FIELD.checksum, checksum);
  return [header, ...body];
}

function encodeCommandLine(text: string): Uint8Array {
  if (!/^[\x20-\x7e]+$/.test(text)) {
    unusable("the kernel's command line is empty or not printable ASCII on one line");
  }
  if (text.length > MAX_COMMAND_LINE_BYTES) {
    unusable(
      `the kernel's command line: expected at most ${MAX_COMMAND_LINE_BYTES} bytes, received ${text.length}`,
    );
  }
  return new TextEncoder().encode(text);
}

function sizeOf(pieces: Pieces): number {
  return pieces.reduce((sum, { length }) => sum + length, 0);
}

function unusable(message: string): never {
  throw new ImageError("unusable-input", message);
}
