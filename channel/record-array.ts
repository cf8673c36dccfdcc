/**
 * The arrays that records are sealed into. They serve again once they are written: large arrays that
 * die young are what bulk would cost most, and making a small one takes a tenth of its seal.
 *
 * Invariant: nothing but sealed bytes is ever in them.
 */

/**
 * A slow peer may hold an array up for long, so a record does not get one that is much too large; the
 * last two hold what `Outbound` makes at most, beside small calls and without them. None is as long
 * as a pool of Node's, which would else be taken for one of these.
 */
const SIZES = [500, 2_000, 6_000, 20_000, 72_000, 263_000] as const;
/** More idle ones of a size are given up. */
const MAX_IDLE = 8;

const idle: ReadonlyMap<number, ArrayBufferLike[]> = new Map(SIZES.map((size) => [size, []]));

/** An array of `length` bytes of any content. */
export function takeArray(length: number): Uint8Array {
  const size = SIZES.find((bytes) => bytes >= length);
  if (size === undefined) return new Uint8Array(length);
  return new Uint8Array(idle.get(size)?.pop() ?? new ArrayBuffer(size), 0, length);
}

/** Gives back an array, or a view of one, that is written and that nobody refers to any more. */
export function giveArray({ buffer }: Uint8Array): void {
  const arrays = idle.get(buffer.byteLength);
  if (arrays !== undefined && arrays.length < MAX_IDLE) arrays.push(buffer);
}
