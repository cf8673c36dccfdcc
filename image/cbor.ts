/**
 * The little of CBOR (RFC 8949) that signature sections are made of: integers, byte and text strings, arrays
 * and maps of definite length. Decoding is strict: shortest forms only, no tags, no duplicate keys.
 */

/** Maps have text or integer keys, in the order they stand in. */
export type CborValue = number | string | Uint8Array | readonly CborValue[] | CborMap;
export type CborMap = ReadonlyMap<number | string, CborValue>;

/** Nothing in a signature section is nested deeper than an array in a map in an array. */
const MAX_DEPTH = 4;

const UNSIGNED = 0;
const NEGATIVE = 1;
const BYTES = 2;
const TEXT = 3;
const ARRAY = 4;
const MAP = 5;

export function encodeCbor(value: CborValue): Uint8Array {
  if (typeof value === "number") {
    return value < 0 ? encodeHead(NEGATIVE, -1 - value) : encodeHead(UNSIGNED, value);
  }
  if (typeof value === "string") return encodeString(TEXT, new TextEncoder().encode(value));
  if (value instanceof Uint8Array) return encodeString(BYTES, value);
  const [type, items, count] =
    value instanceof Map
      ? [MAP, [...(value as CborMap)].flat(), value.size]
      : [ARRAY, value as readonly CborValue[], (value as readonly CborValue[]).length];
  return concat([encodeHead(type, count), ...items.map((item) => encodeCbor(item))]);
}

function encodeString(type: number, bytes: Uint8Array): Uint8Array {
  return concat([encodeHead(type, bytes.length), bytes]);
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

function encodeHead(type: number, argument: number): Uint8Array {
  if (argument < 24) return Uint8Array.of((type << 5) | argument);
  if (argument < 0x100) return Uint8Array.of((type << 5) | 24, argument);
  return Uint8Array.of((type << 5) | 25, argument >> 8, argument & 0xff);
}

/**
 * Decodes one value that fills the input.
 *
 * @throws RangeError, saying what is wrong; numbers and lengths above 65535 are.
 */
export function decodeCbor(bytes: Uint8Array): CborValue {
  const decoder = new Decoder(bytes);
  const value = decoder.value(0);
  decoder.expectEnd();
  return value;
}

class Decoder {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    // A copy, and no Buffer, whose slices are views.
    this.#bytes = new Uint8Array(bytes);
  }

  expectEnd(): void {
    if (this.#at !== this.#bytes.length) throw new RangeError("bytes behind the CBOR value");
  }

  value(depth: number): CborValue {
    if (depth > MAX_DEPTH) throw new RangeError("CBOR nested too deeply");
    const head = this.#byte();
    const argument = this.#argument(head & 0x1f);
    switch (head >> 5) {
      case UNSIGNED:
        return argument;
      case NEGATIVE:
        return -1 - argument;
      case BYTES:
        return this.#take(argument);
      case TEXT:
        return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(
          this.#take(argument),
        );
      case ARRAY:
        return this.#array(argument, depth);
      case MAP:
        return this.#map(argument, depth);
      default:
        throw new RangeError("a CBOR tag or simple value");
    }
  }

  // Items are read one by one, so a length costs nothing beyond the bytes that are there.
  #array(count: number, depth: number): readonly CborValue[] {
    const items: CborValue[] = [];
    while (items.length < count) items.push(this.value(depth + 1));
    return items;
  }

  #map(count: number, depth: number): CborMap {
    const map = new Map<number | string, CborValue>();
    while (map.size < count) {
      const key = this.value(depth + 1);
      if (typeof key !== "number" && typeof key !== "string") {
        throw new RangeError("a CBOR map key that is neither text nor integer");
      }
      if (map.has(key)) throw new RangeError("a CBOR map key that was there before");
      map.set(key, this.value(depth + 1));
    }
    return map;
  }

  #argument(info: number): number {
    if (info < 24) return info;
    if (info > 25) throw new RangeError("a CBOR number or length that is too large or indefinite");
    const value = info === 24 ? this.#byte() : this.#byte() * 256 + this.#byte();
    if (value < (info === 24 ? 24 : 256))
      throw new RangeError("a CBOR number not in shortest form");
    return value;
  }

  #take(length: number): Uint8Array {
    if (length > this.#bytes.length - this.#at) throw new RangeError("CBOR cut short");
    this.#at += length;
    return this.#bytes.slice(this.#at - length, this.#at);
  }

  #byte(): number {
    const byte = this.#bytes[this.#at++];
    if (byte === undefined) throw new RangeError("CBOR cut short");
    return byte;
  }
}
