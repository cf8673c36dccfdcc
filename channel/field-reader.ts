/** Reads the fields of protobuf messages that strangers sent (docs/protocol.md §3). */
import { decodeText, type KnownTexts } from "./known-texts.ts";
import { malformed } from "./violation.ts";

/** The factor of the byte behind the tenth, the last that a number may have. */
const TOO_LONG = 2 ** 70;

const PLAIN = { decode: decodeText };

/** Walks the fields of one message. Every read stays inside of it, so it ends on any bytes. */
export class FieldReader {
  readonly #body: Uint8Array;
  readonly #texts: KnownTexts;
  #lastField: number;
  #end: number;
  #at = 0;

  /** `lastField` is the highest field number that the message defines. */
  constructor(body: Uint8Array, lastField: number, texts: KnownTexts) {
    this.#body = body;
    this.#lastField = lastField;
    this.#texts = texts;
    this.#end = body.length;
  }

  /** The next field's tag, or 0 behind the last. */
  next(): number {
    if (this.#at === this.#end) return 0;
    const tag = this.number();
    if (tag < 8 || tag > 0xffffffff) throw malformed("a field number is out of range");
    return tag;
  }

  number(): number {
    let byte = this.#byte();
    let value = byte & 127;
    for (let scale = 128; byte >= 128; scale *= 128) {
      if (scale === TOO_LONG) throw malformed("a number is too long");
      byte = this.#byte();
      value += (byte & 127) * scale;
    }
    if (value > Number.MAX_SAFE_INTEGER) throw malformed("a number is beyond 2^53 - 1");
    return value;
  }

  /** A copy of the field's bytes. */
  bytes(): Uint8Array {
    const end = this.#fieldEnd();
    const bytes = this.#body.slice(this.#at, end);
    this.#at = end;
    return bytes;
  }

  /** Text that is of this call only, which nothing is to remember. */
  text(): string {
    return this.#decode(PLAIN);
  }

  /** Text that comes again with other calls. */
  name(): string {
    return this.#decode(this.#texts);
  }

  /** What `read` makes of the message in this field, whose fields this reader gives it. */
  message<Value>(lastField: number, read: (fields: FieldReader) => Value): Value {
    const outerEnd = this.#end;
    const outerLastField = this.#lastField;
    this.#end = this.#fieldEnd();
    this.#lastField = lastField;
    const value = read(this);
    this.#end = outerEnd;
    this.#lastField = outerLastField;
    return value;
  }

  /** Passes over a field that the message does not define. */
  skip(tag: number): void {
    if (tag < 8 * (this.#lastField + 1)) throw malformed("a field has the wrong wire type");
    const wire = tag % 8;
    if (wire === 0) this.number();
    else if (wire === 2) this.#at = this.#fieldEnd();
    else if (wire === 1 || wire === 5) this.#at += wire === 1 ? 8 : 4;
    else throw malformed("a field has an unknown wire type");
    if (this.#at > this.#end) throw malformed("a field is cut short");
  }

  #decode(texts: Pick<KnownTexts, "decode">): string {
    const end = this.#fieldEnd();
    const start = this.#at;
    this.#at = end;
    try {
      return texts.decode(this.#body, start, end);
    } catch {
      throw malformed("text is not UTF-8");
    }
  }

  #byte(): number {
    const byte = this.#at < this.#end ? this.#body[this.#at] : undefined;
    if (byte === undefined) throw malformed("a number is cut short");
    this.#at += 1;
    return byte;
  }

  /** Where the field ends whose length is next. */
  #fieldEnd(): number {
    const length = this.number();
    const end = this.#at + length;
    if (end > this.#end) throw malformed("a field is cut short");
    return end;
  }
}
