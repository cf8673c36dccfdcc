/**
 * A CBOR writer that writes what it is told: long forms, wrong counts, chunks, duplicates. Each
 * function gives the bytes of one item, made of the bytes of others.
 */

/** Bytes of the argument after the initial byte; 0 puts it into the initial byte. */
export type Width = 0 | 1 | 2 | 4 | 8;

/** Initial byte and argument, in the shortest form unless a width is given. */
export function head(major: number, argument: number | bigint, width?: Width): Uint8Array {
  const value = BigInt(argument);
  const bytes = width ?? ([0, 1, 2, 4, 8] as const).find((size) => value < limit(size)) ?? 8;
  if (bytes === 0) {
    return Uint8Array.of((major << 5) | Number(value));
  }
  const encoded = new Uint8Array(9);
  new DataView(encoded.buffer).setBigUint64(1, value);
  encoded[8 - bytes] = (major << 5) | (24 + Math.log2(bytes));
  return encoded.slice(8 - bytes);
}

function limit(width: Width): bigint {
  return width === 0 ? 24n : 1n << BigInt(8 * width);
}

export function join(...parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(Buffer.concat(parts));
}

export function hex(digits: string): Uint8Array {
  return Uint8Array.from(Buffer.from(digits.replaceAll(" ", ""), "hex"));
}

export function uint(value: number | bigint, width?: Width): Uint8Array {
  return head(0, value, width);
}

/** -1 - `value` */
export function negative(value: number): Uint8Array {
  return head(1, value);
}

export function bytes(content: Uint8Array, width?: Width): Uint8Array {
  return join(head(2, content.length, width), content);
}

export function text(content: string, width?: Width): Uint8Array {
  const utf8 = new TextEncoder().encode(content);
  return join(head(3, utf8.length, width), utf8);
}

export function array(items: readonly Uint8Array[], width?: Width): Uint8Array {
  return join(head(4, items.length, width), ...items);
}

export type Entry = readonly [key: Uint8Array, value: Uint8Array];

/** `count` is what the head says; the entries are what follows. */
export function map(
  entries: readonly Entry[],
  { count = entries.length, width }: { count?: number; width?: Width } = {},
): Uint8Array {
  return join(head(5, count, width), ...entries.flat());
}

export function tag(number: number, item: Uint8Array, width?: Width): Uint8Array {
  return join(head(6, number, width), item);
}

export const BREAK: Uint8Array = hex("ff");
export const NULL: Uint8Array = hex("f6");
export const UNDEFINED: Uint8Array = hex("f7");
export const TRUE: Uint8Array = hex("f5");

/** An array, map, byte or text string of indefinite length. Chunks of strings are items. */
export function indefinite(
  kind: "bytes" | "text" | "array" | "map",
  items: readonly Uint8Array[],
): Uint8Array {
  const initial = { bytes: 0x5f, text: 0x7f, array: 0x9f, map: 0xbf }[kind];
  return join(Uint8Array.of(initial), ...items, BREAK);
}

/** A byte string in two chunks. */
export function chunked(content: Uint8Array): Uint8Array {
  const half = content.length >> 1;
  return indefinite("bytes", [bytes(content.subarray(0, half)), bytes(content.subarray(half))]);
}

/** IEEE 754 double. */
export function float(value: number): Uint8Array {
  const encoded = new Uint8Array(9);
  encoded[0] = 0xfb;
  new DataView(encoded.buffer).setFloat64(1, value);
  return encoded;
}
