/**
 * Reads image files of versions 2 to 4 and measures them, strictly (docs/image.md): what it accepts has one
 * meaning only, so its measurements are those that the hypervisor makes.
 */
import { crc32 } from "node:zlib";
import { ImageError } from "./errors.ts";
import { type ImageHeader, parseHeader } from "./header.ts";
import {
  type Architecture,
  FIELD,
  HEADER_BYTES,
  type ImageVersion,
  SECTION_HEADER_BYTES,
} from "./layout.ts";
import { type Measurements, Measurer } from "./measurement.ts";
import { parseMetadata } from "./metadata.ts";
import { type Section, parseSections } from "./sections.ts";
import { type ImageSignature, verifyImageSignature } from "./signature.ts";
import { type ImageSource, bytesSource, withFileSource } from "./source.ts";

/** How much is in memory at a time while data passes through the hashes. */
const PIECE_BYTES = 1_048_576;

export interface EnclaveImage {
  readonly version: ImageVersion;
  readonly architecture: Architecture;
  /** Memory that the image asks for when whoever starts it names none, in bytes. */
  readonly memoryBytes: bigint;
  /** Processors, likewise. */
  readonly cpus: bigint;
  /** In the file's order. */
  readonly sections: readonly Section[];
  /** The kernel's command line; what is no UTF-8 in it is replaced. */
  readonly commandLine: string;
  /** From version 4 on. Not measured: it proves nothing. */
  readonly metadata: Readonly<Record<string, unknown>> | undefined;
  /** Verified against its own certificate and PCR0; who that is, PCR8 says. */
  readonly signature: ImageSignature | undefined;
  readonly measurements: Measurements;
}

/**
 * Reads an image in memory.
 *
 * @throws ImageError by code, for the first check that fails.
 */
export function parseImage(bytes: Uint8Array): EnclaveImage {
  return readImage(bytesSource(bytes));
}

/**
 * Reads an image file, a piece at a time.
 *
 * @throws ImageError by code, and errors of the file system as they are.
 */
export function readImageFile(path: string): EnclaveImage {
  return withFileSource(path, readImage);
}

function readImage(source: ImageSource): EnclaveImage {
  const header = parseHeader(source);
  const sections = parseSections(source, header);
  const measurer = new Measurer();
  const small = new Map<Section["kind"], Uint8Array>();
  let checksum = crc32(header.bytes.subarray(0, FIELD.checksum));
  let ramdisks = 0;
  for (const section of sections) {
    const { kind, offset } = section;
    checksum = crc32(source.read(offset - SECTION_HEADER_BYTES, SECTION_HEADER_BYTES), checksum);
    for (const piece of piecesOf(source, section)) {
      checksum = crc32(piece, checksum);
      if (kind !== "signature" && kind !== "metadata") measurer.add(kind, ramdisks, piece);
      // What is parsed is what was hashed, and its limit is below one piece.
      if (kind !== "kernel" && kind !== "ramdisk") small.set(kind, piece);
    }
    if (kind === "ramdisk") ramdisks++;
  }
  expectChecksum(header, checksum);
  const partOf = (kind: Section["kind"]): Uint8Array | undefined =>
    sections.some((section) => section.kind === kind)
      ? (small.get(kind) ?? new Uint8Array())
      : undefined;
  const metadata = partOf("metadata");
  return {
    version: header.version,
    architecture: header.architecture,
    memoryBytes: header.memoryBytes,
    cpus: header.cpus,
    sections,
    commandLine: new TextDecoder().decode(partOf("command-line")),
    metadata: metadata === undefined ? undefined : parseMetadata(metadata),
    ...signed(measurer, partOf("signature")),
  };
}

/** The image's measurements, and its signature verified against them. */
function signed(
  measurer: Measurer,
  section: Uint8Array | undefined,
): Pick<EnclaveImage, "signature" | "measurements"> {
  const measurements = measurer.finish();
  if (section === undefined) return { signature: undefined, measurements };
  const signature = verifyImageSignature(section, measurements.pcr0);
  return { signature, measurements: { ...measurements, pcr8: signature.pcr8 } };
}

function* piecesOf(source: ImageSource, { offset, sizeBytes }: Section): Generator<Uint8Array> {
  for (let at = 0; at < sizeBytes; at += PIECE_BYTES) {
    yield source.read(offset + at, Math.min(PIECE_BYTES, sizeBytes - at));
  }
}

function expectChecksum({ bytes }: ImageHeader, computed: number): void {
  const stated = new DataView(bytes.buffer, bytes.byteOffset, HEADER_BYTES).getUint32(
    FIELD.checksum,
  );
  if (stated !== computed) {
    const hex = (value: number) => value.toString(16).padStart(8, "0");
    throw new ImageError(
      "bad-checksum",
      `the file has CRC-32 ${hex(computed)}, its header says ${hex(stated)}`,
    );
  }
}
