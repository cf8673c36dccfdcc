/**
 * The arrays that records are sealed into. Those of bulk serve again once they are written, since
 * large arrays that die young are what bulk would cost most.
 *
 * Invariant: nothing but sealed bytes is ever in them.
 */

/** Each holds what `Outbound` makes at most, beside small calls and without them. */
const SIZES = [72_000, 263_000] as const;
/** A smaller record gets an array of its own, which a slow peer may then hold up for long. */
const MIN_SHARED_BYTES = 16_384;
/** More idle ones of a size are given up. */
const MAX_IDLE = 8;

const idle: ReadonlyMap<number, Uint8Array[]> = new Map(SIZES.map((size) => [size, []]));

/** An array of `length` bytes of any content. */
export function takeArray(length: number): Uint8Array {
  const size = length < MIN_SHARED_BYTES ? undefined : SIZES.find((bytes) => bytes >= length);
  if (size === undefined) return new Uint8Array(length);
  return (idle.get(size)?.pop() ?? new Uint8Array(size)).subarray(0, length);
}

/** Gives back an array, or a view of one, that is written and that nobody refers to any more. */
export function giveArray({ buffer }: Uint8Array): void {
  const arrays = idle.get(buffer.byteLength);
  if (arrays !== undefined && arrays.length < MAX_IDLE) arrays.push(new Uint8Array(buffer));
}
