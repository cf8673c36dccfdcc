/**
 * Cuts the length-prefixed messages of plain gRPC out of HTTP/2 DATA, which may split them at any
 * byte. Keeps no more than has arrived, whatever is announced.
 */
import type { Readable } from "node:stream";

import { status as Code } from "@grpc/grpc-js";

import { MessageParts } from "../../channel/message-parts.ts";
import type { ByteBudget } from "./byte-budget.ts";

/** Who gets the messages, in order. */
export interface MessageSink {
  /** `onTaken` is called once: when there is room for more, or the call is over. */
  takeMessage(message: Uint8Array, compressed: boolean, onTaken: () => void): void;
  /** Nothing more can be read, and the call fails. */
  breakOff(code: Code, details: string): void;
}

const PREFIX_BYTES = 5;
/** A view of less than this part of what its chunk keeps in memory is copied. */
const VIEW_SHARE = 0.5;

export class MessageReader {
  readonly #stream: Pick<Readable, "isPaused" | "pause" | "resume">;
  readonly #maxBytes: number;
  readonly #budget: ByteBudget;
  readonly #sink: MessageSink;
  #prefix: Uint8Array | undefined;
  #prefixBytes = 0;
  #isCompressed = false;
  readonly #parts = new MessageParts();
  #missingBytes = 0;
  /** Messages for which the sink had no room yet. */
  #untaken = 0;
  #isBroken = false;

  /**
   * The stream is paused while the sink has no room; who reads it hands its bytes to `read`.
   * `maxBytes`: of a message as it travels; -1 for any.
   */
  constructor(
    stream: Pick<Readable, "isPaused" | "pause" | "resume">,
    maxBytes: number,
    budget: ByteBudget,
    sink: MessageSink,
  ) {
    this.#stream = stream;
    this.#maxBytes = maxBytes < 0 ? Infinity : maxBytes;
    this.#budget = budget;
    this.#sink = sink;
  }

  /** Whether the stream would end inside a message if it ended now. */
  get isInside(): boolean {
    return this.#prefixBytes > 0 || this.#missingBytes > 0;
  }

  /** Takes the next bytes. The sink is called for each message that they complete. */
  read(chunk: Uint8Array): void {
    let at = 0;
    while (at < chunk.length && !this.#isBroken) {
      at = this.#missingBytes === 0 ? this.#readPrefix(chunk, at) : this.#readBody(chunk, at);
    }
  }

  /** The stream is over: forgets a message that is not whole. */
  drop(): void {
    this.#isBroken = true;
    this.#budget.release(this.#parts.length);
    this.#parts.clear();
  }

  #readPrefix(chunk: Uint8Array, start: number): number {
    if (this.#prefixBytes === 0 && chunk.length - start >= PREFIX_BYTES) {
      this.#begin(chunk, start);
      return start + PREFIX_BYTES;
    }
    const prefix = (this.#prefix ??= new Uint8Array(PREFIX_BYTES));
    const part = chunk.subarray(start, start + PREFIX_BYTES - this.#prefixBytes);
    prefix.set(part, this.#prefixBytes);
    this.#prefixBytes += part.length;
    if (this.#prefixBytes === PREFIX_BYTES) {
      this.#prefixBytes = 0;
      this.#begin(prefix, 0);
    }
    return start + part.length;
  }

  #begin(bytes: Uint8Array, at: number): void {
    const flag = bytes[at] ?? 0;
    const length =
      (bytes[at + 1] ?? 0) * 0x1000000 +
      (((bytes[at + 2] ?? 0) << 16) | ((bytes[at + 3] ?? 0) << 8) | (bytes[at + 4] ?? 0));
    if (flag > 1) {
      this.#break(Code.INTERNAL, `a message begins with the flag byte ${flag}, expected 0 or 1`);
    } else if (length > this.#maxBytes) {
      const text = `a message has ${length} bytes, more than the ${this.#maxBytes} that pass here`;
      this.#break(Code.RESOURCE_EXHAUSTED, text);
    } else if (length === 0) {
      this.#hand(EMPTY, flag === 1);
    } else {
      this.#isCompressed = flag === 1;
      this.#missingBytes = length;
    }
  }

  #readBody(chunk: Uint8Array, start: number): number {
    const part = chunk.subarray(start, start + this.#missingBytes);
    this.#missingBytes -= part.length;
    if (this.#missingBytes > 0) {
      if (!this.#budget.hold(part.length)) {
        this.#break(Code.RESOURCE_EXHAUSTED, "the buffers for messages are full");
        return chunk.length;
      }
      this.#parts.add(part, this.#missingBytes);
    } else {
      const message = this.#parts.length === 0 ? compact(part) : this.#join(part);
      this.#hand(message, this.#isCompressed);
    }
    return start + part.length;
  }

  #join(last: Uint8Array): Uint8Array {
    const { length } = this.#parts;
    const message = new Uint8Array(length + last.length);
    this.#parts.moveTo(message);
    message.set(last, length);
    this.#budget.release(length);
    return message;
  }

  #hand(message: Uint8Array, compressed: boolean): void {
    this.#untaken += 1;
    this.#sink.takeMessage(message, compressed, this.#taken);
    if (this.#untaken > 0) this.#stream.pause();
  }

  readonly #taken = (): void => {
    this.#untaken -= 1;
    if (this.#untaken === 0 && this.#stream.isPaused()) this.#stream.resume();
  };

  #break(code: Code, details: string): void {
    this.drop();
    this.#sink.breakOff(code, details);
  }
}

const EMPTY = new Uint8Array(0);

function compact(part: Uint8Array): Uint8Array {
  return part.length >= VIEW_SHARE * part.buffer.byteLength ? part : new Uint8Array(part);
}
