/**
 * How long a record's plaintext becomes (docs/protocol.md §7). Padding is the sender's choice and
 * is not negotiated: a receiver strips whatever zeros it finds.
 */

/** Most bytes of a record's plaintext: frames, type and padding. */
export const MAX_PLAINTEXT_BYTES = 262_144;

/** `padme` adds at most 6.25 % beyond 256 bytes; a bucket rounds up to its multiple. */
export type Padding = "none" | "padme" | { readonly bucket: number };

const SMALLEST_PADME_BYTES = 256;

/**
 * The padded length of a plaintext of `length` bytes, its type byte included. Never more than
 * `MAX_PLAINTEXT_BYTES` for a length within it.
 *
 * @throws RangeError for a bucket that is not an integer from 1 to `MAX_PLAINTEXT_BYTES`.
 */
export function paddedLength(padding: Padding, length: number): number {
  if (padding === "none") return length;
  if (padding === "padme") return padme(length);
  const { bucket } = padding;
  if (!Number.isInteger(bucket) || bucket < 1 || bucket > MAX_PLAINTEXT_BYTES) {
    throw new RangeError(`a padding bucket has 1 to ${MAX_PLAINTEXT_BYTES} bytes, not ${bucket}`);
  }
  return Math.min(MAX_PLAINTEXT_BYTES, bucket * Math.ceil(length / bucket));
}

/** Padmé(L) = (L + m) & ~m, with E = floor(log2 L), S = floor(log2 E) + 1, m = 2^(E-S) - 1. */
function padme(length: number): number {
  if (length <= SMALLEST_PADME_BYTES) return SMALLEST_PADME_BYTES;
  const exponent = floorLog2(length);
  const mask = 2 ** (exponent - floorLog2(exponent) - 1) - 1;
  return (length + mask) & ~mask;
}

function floorLog2(value: number): number {
  return 31 - Math.clz32(value);
}
