/**
 * Strict CBOR (RFC 8949; docs/protocol.md §A.3): a scanner that passes one narrow shape and nothing
 * else, in front of a general decoder. The decoder alone would accept duplicate keys, tags, floats, long-form lengths,
 * broken UTF-8 and unbounded nesting, so the same statement would have many encodings.
 */

import { Decoder } from "cbor-x/decode";
import { decodeUtf8 } from "./bytes.ts";
import { AttestationError, type AttestationErrorCode } from "./errors.ts";

/** What differs between the documents that are scanned. */
export interface CborShape {
  /** The code of the error for bytes that are refused. */
  readonly code: AttestationErrorCode;
  /** Allows the outermost map, and only that, to be of indefinite length. */
  readonly indefiniteOuterMap?: boolean;
  /** Allows `true` and `false`. */
  readonly booleans?: boolean;
}

/** Maps and arrays inside each other, the outermost included. */
const maxDepth = 3;

const decoder = new Decoder({ mapsAsObjects: false, useRecords: false });

/**
 * Decodes one item: maps become `Map`, unsigned integers `number` or `bigint` (those of eight
 * bytes), text `string`, `null` stays. Byte strings are views on the input.
 *
 * Admitted are unsigned integers up to 2^53 - 1, byte strings, valid UTF-8, arrays, maps with text
 * or integer keys, and null; each in its shortest form and of definite length, no key twice, no
 * byte after the item. The work and the memory are linear in the length of the input.
 *
 * @throws AttestationError with the code of the shape.
 */
export function decodeCbor(bytes: Uint8Array, shape: CborShape): unknown {
  new Scanner(bytes, shape).scan();
  try {
    return decoder.decode(bytes) as unknown;
  } catch (cause) {
    throw new AttestationError(shape.code, "CBOR could not be decoded", { cause });
  }
}

interface Head {
  readonly major: number;
  /** The value, length or count; `undefined` for an indefinite length. */
  readonly argument: number | undefined;
}

/** Walks over the bytes once and throws at the first that does not belong. */
class Scanner {
  readonly #bytes: Uint8Array;
  readonly #shape: CborShape;
  #offset = 0;

  constructor(bytes: Uint8Array, shape: CborShape) {
    this.#bytes = bytes;
    this.#shape = shape;
  }

  scan(): void {
    this.#item(1);
    if (this.#offset !== this.#bytes.length) {
      this.#refuse(`expected the end, received ${this.#remaining()} more bytes`);
    }
  }

  #item(depth: number): void {
    const { major, argument } = this.#head();
    switch (major) {
      case 0:
        return;
      case 2:
        this.#skip(this.#definite(argument));
        return;
      case 3:
        this.#text(this.#definite(argument));
        return;
      case 4:
        this.#array(this.#definite(argument), depth);
        return;
      case 5:
        if (argument === undefined && (depth > 1 || this.#shape.indefiniteOuterMap !== true)) {
          this.#refuse("expected a definite length, received an indefinite one");
        }
        this.#map(argument, depth);
        return;
      case 7:
        return;
      default:
        this.#refuse(major === 1 ? "negative integer" : "tag");
    }
  }

  #array(count: number, depth: number): void {
    this.#enter(count, depth);
    for (let i = 0; i < count; i++) this.#item(depth + 1);
  }

  #map(count: number | undefined, depth: number): void {
    this.#enter(2 * (count ?? 0), depth);
    // Invariant: heads are in their shortest form, so two keys are equal exactly when their encodings are.
    const keys = new Set<string>();
    for (let i = 0; count === undefined ? !this.#endsHere() : i < count; i++) {
      const start = this.#offset;
      const { major, argument } = this.#head();
      if (major !== 0 && major !== 3) this.#refuse("map key that is neither text nor integer");
      const key =
        major === 0 ? `${this.#definite(argument)}` : `"${this.#text(this.#definite(argument))}`;
      if (keys.has(key)) {
        this.#offset = start;
        this.#refuse("map key that was there before");
      }
      keys.add(key);
      this.#item(depth + 1);
    }
  }

  /** Invariant: a count is compared with the bytes that are left before anything is made for it. */
  #enter(items: number, depth: number): void {
    if (depth > maxDepth) this.#refuse(`nested more than ${maxDepth} deep`);
    if (items > this.#remaining()) {
      this.#refuse(`count of ${items} items, only ${this.#remaining()} bytes are left`);
    }
  }

  #endsHere(): boolean {
    if (this.#bytes[this.#offset] !== 0xff) return false;
    this.#offset += 1;
    return true;
  }

  #text(length: number): string {
    const start = this.#offset;
    this.#skip(length);
    const text = decodeUtf8(this.#bytes.subarray(start, this.#offset));
    return text ?? this.#refuse("text that is not UTF-8");
  }

  #head(): Head {
    const initial = this.#byte();
    const major = initial >> 5;
    const info = initial & 0x1f;
    if (major === 7) return this.#simple(info);
    if (info < 24) return { major, argument: info };
    if (info === 31 && major >= 2 && major <= 5) return { major, argument: undefined };
    if (info > 27) this.#refuse(`additional information ${info}`);
    const width = 2 ** (info - 24);
    let argument = 0;
    for (let i = 0; i < width; i++) argument = argument * 256 + this.#byte();
    if (argument > Number.MAX_SAFE_INTEGER) this.#refuse("integer or length beyond 2^53 - 1");
    if (argument < (width === 1 ? 24 : 2 ** (4 * width))) {
      this.#refuse(`${argument} in ${width} bytes, expected the shortest form`);
    }
    return { major, argument };
  }

  #simple(info: number): Head {
    const isBoolean = info === 20 || info === 21;
    if (info !== 22 && !(isBoolean && this.#shape.booleans === true)) {
      this.#refuse("float, break or simple value other than null");
    }
    return { major: 7, argument: info };
  }

  #definite(argument: number | undefined): number {
    return argument ?? this.#refuse("expected a definite length, received an indefinite one");
  }

  #byte(): number {
    const byte = this.#bytes[this.#offset];
    if (byte === undefined) this.#refuse("expected more bytes, received the end");
    this.#offset += 1;
    return byte;
  }

  #skip(length: number): void {
    if (length > this.#remaining()) {
      this.#refuse(`length of ${length} bytes, only ${this.#remaining()} are left`);
    }
    this.#offset += length;
  }

  #remaining(): number {
    return this.#bytes.length - this.#offset;
  }

  #refuse(what: string): never {
    throw new AttestationError(this.#shape.code, `CBOR at byte ${this.#offset}: ${what}`);
  }
}
