/**
 * The arrays that records are sealed into. Those of bulk serve again once they are written, since
 * large arrays that die young are what bulk would cost most.
 *
 * Invariant: nothing but sealed bytes is ever in them.
 */

/** Holds any record that a session fills, with what goes before it. */
const ARRAY_BYTES = 72_000;
/** A smaller record gets an array of its own, which a slow peer may then hold up for long. */
const MIN_SHARED_BYTES = 16_384;
/** More idle ones are given up. */
const MAX_IDLE = 16;

const idle: Uint8Array[] = [];

/** An array of `length` bytes of any content. */
export function takeArray(length: number): Uint8Array {
  if (length < MIN_SHARED_BYTES || length > ARRAY_BYTES) return new Uint8Array(length);
  return (idle.pop() ?? new Uint8Array(ARRAY_BYTES)).subarray(0, length);
}

/** Gives back an array, or a view of one, that is written and that nobody refers to any more. */
export function giveArray({ buffer }: Uint8Array): void {
  if (buffer.byteLength === ARRAY_BYTES && idle.length < MAX_IDLE)
    idle.push(new Uint8Array(buffer));
}
