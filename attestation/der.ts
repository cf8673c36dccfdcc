/**
 * A reader of DER (X.690): definite, minimal lengths, single-byte tags, nothing after the end. It
 * reads one level; the caller opens the next with another reader, so depth is the depth of the code.
 */

import { encodeHex } from "./bytes.ts";
import { AttestationError } from "./errors.ts";

/** Tags of the types that a certificate is made of. */
export const derTag = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  objectIdentifier: 0x06,
  utf8String: 0x0c,
  printableString: 0x13,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
  explicit0: 0xa0,
  explicit3: 0xa3,
} as const;

/** One element. Both parts are views on the input. */
export interface DerElement {
  readonly tag: number;
  readonly content: Uint8Array;
  /** Tag, length and content. */
  readonly encoding: Uint8Array;
}

/** Reads the elements of one level in order. Every fault is `untrusted-chain`. */
export class DerReader {
  readonly #bytes: Uint8Array;
  readonly #where: string;
  #offset = 0;

  /** `where` names the structure in errors. */
  constructor(bytes: Uint8Array, where: string) {
    this.#bytes = bytes;
    this.#where = where;
  }

  get isAtEnd(): boolean {
    return this.#offset === this.#bytes.length;
  }

  /** Reads the next element, which must have one of the tags. */
  read(...tags: readonly number[]): DerElement {
    const tag = this.#byte();
    if (!tags.includes(tag)) {
      this.refuse(
        `expected tag ${encodeHex(Uint8Array.from(tags))}, received ${encodeHex(Uint8Array.of(tag))}`,
      );
    }
    const start = this.#offset - 1;
    const length = this.#length();
    const content = this.#bytes.subarray(this.#offset, this.#offset + length);
    if (content.length !== length) {
      this.refuse(`expected ${length} bytes of content, received ${content.length}`);
    }
    this.#offset += length;
    return { tag, content, encoding: this.#bytes.subarray(start, this.#offset) };
  }

  /** Reads the next element, whatever it is, as long as its tag is one byte. */
  readAny(): DerElement {
    const tag = this.#bytes[this.#offset] ?? 0;
    if ((tag & 0x1f) === 0x1f) this.refuse("tag of several bytes");
    return this.read(tag);
  }

  /** Reads the next element if it has the tag. */
  optional(tag: number): DerElement | undefined {
    return this.#bytes[this.#offset] === tag ? this.read(tag) : undefined;
  }

  /** Opens the next element, which must have the tag. */
  enter(tag: number, where: string = this.#where): DerReader {
    return new DerReader(this.read(tag).content, where);
  }

  end(): void {
    if (!this.isAtEnd) {
      this.refuse(`expected the end, received ${this.#bytes.length - this.#offset} more bytes`);
    }
  }

  refuse(what: string): never {
    throw new AttestationError("untrusted-chain", `${this.#where}: ${what}`);
  }

  #length(): number {
    const first = this.#byte();
    if (first < 0x80) return first;
    const width = first - 0x80;
    // Certificates have at most 1024 bytes; 0x80 is the indefinite form.
    if (width === 0 || width > 2) this.refuse("length that is indefinite or beyond 65535");
    let length = 0;
    for (let i = 0; i < width; i++) length = length * 256 + this.#byte();
    if (length < (width === 1 ? 0x80 : 0x100))
      this.refuse("expected a length in its shortest form");
    return length;
  }

  #byte(): number {
    const byte = this.#bytes[this.#offset];
    if (byte === undefined) this.refuse("expected more bytes, received the end");
    this.#offset += 1;
    return byte;
  }
}

/** The bytes of a positive INTEGER without its sign byte. Refuses zero and what is not minimal. */
export function readPositiveInteger(reader: DerReader): Uint8Array {
  const bytes = readUnsignedInteger(reader);
  if (bytes[0] === 0) reader.refuse("expected a positive integer, received 0");
  return bytes;
}

/** The bytes of an INTEGER that is not negative, without its sign byte. */
export function readUnsignedInteger(reader: DerReader): Uint8Array {
  const { content } = reader.read(derTag.integer);
  const [first, second] = content;
  if (first === undefined || first >= 0x80) reader.refuse("expected an integer of 0 or more");
  if (first !== 0 || second === undefined) return content;
  if (second < 0x80) reader.refuse("expected an integer in its shortest form");
  return content.subarray(1);
}

/** The one value of BOOLEAN that a field with DEFAULT FALSE has in DER. */
export function readTrue(reader: DerReader): boolean {
  const element = reader.optional(derTag.boolean);
  if (element === undefined) return false;
  if (element.content.length !== 1 || element.content[0] !== 0xff) {
    reader.refuse("expected TRUE as ff, or nothing");
  }
  return true;
}
