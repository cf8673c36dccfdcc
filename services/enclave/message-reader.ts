/** Cuts gRPC's length-prefixed messages out of HTTP/2 data, which may split them at any byte. */
import { ChannelError } from "../../channel/errors.ts";
import { MessageParts } from "../../channel/message-parts.ts";
import { MAX_OUTER_MESSAGE_BYTES } from "../../channel/outer-message.ts";

const PREFIX_BYTES = 5;
/** Where a message in parts is joined. One for all readers: it is taken in the same step. */
const joined = new Uint8Array(MAX_OUTER_MESSAGE_BYTES);

/** Reads the messages of one stream. Keeps no more than has arrived, whatever is announced. */
export class MessageReader {
  /** Longest message that is read from here on; at most `MAX_OUTER_MESSAGE_BYTES`. */
  maxBytes: number;
  readonly #prefix = new Uint8Array(PREFIX_BYTES);
  #prefixBytes = 0;
  readonly #parts = new MessageParts();
  #missingBytes = 0;

  constructor(maxBytes: number) {
    this.maxBytes = maxBytes;
  }

  /**
   * Gives `take` each message that `chunk` completes: a view, of which nothing may be kept.
   *
   * @throws ChannelError `record-too-large` or, for a compressed or an empty message,
   *   `malformed-record`. Nothing may be read afterwards.
   */
  read(chunk: Uint8Array, take: (message: Uint8Array) => void): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#missingBytes === 0) {
        at = this.#readPrefix(chunk, at);
        continue;
      }
      const part = chunk.subarray(at, at + this.#missingBytes);
      at += part.length;
      this.#missingBytes -= part.length;
      if (this.#missingBytes > 0) {
        this.#parts.add(part, this.#missingBytes);
      } else if (this.#parts.length === 0) {
        take(part);
      } else {
        take(this.#join(part));
      }
    }
  }

  #join(last: Uint8Array): Uint8Array {
    const { length } = this.#parts;
    this.#parts.moveTo(joined);
    joined.set(last, length);
    return joined.subarray(0, length + last.length);
  }

  #readPrefix(chunk: Uint8Array, start: number): number {
    const part = chunk.subarray(start, start + PREFIX_BYTES - this.#prefixBytes);
    this.#prefix.set(part, this.#prefixBytes);
    this.#prefixBytes += part.length;
    if (this.#prefixBytes < PREFIX_BYTES) return start + part.length;
    this.#prefixBytes = 0;
    const [flag = 0, a = 0, b = 0, c = 0, d = 0] = this.#prefix;
    const length = ((a << 24) | (b << 16) | (c << 8) | d) >>> 0;
    if (flag !== 0) throw new ChannelError("malformed-record", "a compressed outer message");
    if (length === 0) throw new ChannelError("malformed-record", "an empty outer message");
    if (length > this.maxBytes) {
      throw new ChannelError("record-too-large", `${length} bytes of ${this.maxBytes}`);
    }
    this.#missingBytes = length;
    return start + part.length;
  }
}
