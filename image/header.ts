/** The header of an image file (docs/image.md), read strictly. */
import { ImageError } from "./errors.ts";
import {
  type Architecture,
  FIELD,
  FLAG_AARCH64,
  HEADER_BYTES,
  type ImageVersion,
  MAGIC,
  MAX_SECTIONS,
} from "./layout.ts";
import type { ImageSource } from "./source.ts";

export interface ImageHeader {
  readonly version: ImageVersion;
  readonly architecture: Architecture;
  readonly memoryBytes: bigint;
  readonly cpus: bigint;
  /** Of each section in the file's order, as the header states it: where its own header is, its data's size. */
  readonly places: readonly { readonly offset: bigint; readonly sizeBytes: bigint }[];
  /** The header itself. */
  readonly bytes: Uint8Array;
}

/**
 * Reads the header; where sections are is not judged yet.
 *
 * @throws ImageError `not-an-image`, `unsupported-version`, `unsupported-flags`, `malformed-header`.
 */
export function parseHeader(source: ImageSource): ImageHeader {
  if (source.sizeBytes < HEADER_BYTES) {
    throw new ImageError(
      "not-an-image",
      `expected ${HEADER_BYTES} bytes of header or more, received ${source.sizeBytes}`,
    );
  }
  const bytes = source.read(0, HEADER_BYTES);
  if (!MAGIC.every((byte, i) => bytes[i] === byte)) {
    throw new ImageError("not-an-image", 'the file does not begin with ".eif"');
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, HEADER_BYTES);
  const version = versionOf(view.getUint16(FIELD.version));
  const architecture = architectureOf(view.getUint16(FIELD.flags));
  const count = view.getUint16(FIELD.sectionCount);
  if (count < 2 || count > MAX_SECTIONS) {
    malformed(`expected 2 to ${MAX_SECTIONS} sections, received ${count}`);
  }
  if (view.getUint16(FIELD.reserved) !== 0 || view.getUint32(FIELD.unused) !== 0) {
    malformed("reserved fields are not zero");
  }
  const places = Array.from({ length: MAX_SECTIONS }, (_, i) => ({
    offset: view.getBigUint64(FIELD.sectionOffsets + 8 * i),
    sizeBytes: view.getBigUint64(FIELD.sectionSizes + 8 * i),
  }));
  if (places.slice(count).some(({ offset, sizeBytes }) => offset !== 0n || sizeBytes !== 0n)) {
    malformed(`entries behind those of the ${count} sections are not zero`);
  }
  return {
    version,
    architecture,
    memoryBytes: view.getBigUint64(FIELD.memory),
    cpus: view.getBigUint64(FIELD.cpus),
    places: places.slice(0, count),
    bytes,
  };
}

function versionOf(version: number): ImageVersion {
  if (version !== 2 && version !== 3 && version !== 4) {
    throw new ImageError("unsupported-version", `expected version 2, 3 or 4, received ${version}`);
  }
  return version;
}

/**
 * Invariant: flags that are not known are refused. Newer builders let them enter PCR0, so that a
 * measurement without them would be wrong.
 */
function architectureOf(flags: number): Architecture {
  if (flags !== 0 && flags !== FLAG_AARCH64) {
    throw new ImageError(
      "unsupported-flags",
      `expected no flag but ${FLAG_AARCH64} (aarch64), received 0x${flags.toString(16)}`,
    );
  }
  return flags === FLAG_AARCH64 ? "aarch64" : "x86_64";
}

function malformed(message: string): never {
  throw new ImageError("malformed-header", message);
}
