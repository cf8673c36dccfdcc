/** Writes messages of plain gRPC on an HTTP/2 stream, no further ahead of its reader than has room. */
import type { Http2Stream } from "node:http2";

import type { ByteBudget } from "./byte-budget.ts";

const PREFIX_BYTES = 5;
/** A longer message is not copied behind its prefix. */
const MAX_COPIED_BYTES = 16_384;
/** While a stream has more than this to write, no message is asked for. */
const AHEAD_BYTES = 65_536;

export class MessageWriter {
  readonly #stream: Http2Stream;
  readonly #budget: ByteBudget;
  readonly #onRoom: () => void;
  /** What the budget counts: the stream's bytes, once they are more than `AHEAD_BYTES`. */
  #heldBytes = 0;
  #isFull = false;
  #isWanted = false;

  /** `onRoom` answers `ask`: there is room for one more message. */
  constructor(stream: Http2Stream, budget: ByteBudget, onRoom: () => void) {
    this.#stream = stream;
    this.#budget = budget;
    this.#onRoom = onRoom;
  }

  /** Calls `onRoom` once, when stream and budget have room: now, or later. */
  ask(): void {
    this.#isWanted = true;
    this.#grant();
  }

  /** Writes one message. False: the budget has no room for it, and the call must end. */
  write(message: Uint8Array, compressed: boolean): boolean {
    const stream = this.#stream;
    if (message.length <= MAX_COPIED_BYTES) {
      const bytes = Buffer.allocUnsafe(PREFIX_BYTES + message.length);
      writePrefix(bytes, message.length, compressed);
      bytes.set(message, PREFIX_BYTES);
      stream.write(bytes);
    } else {
      const prefix = Buffer.allocUnsafe(PREFIX_BYTES);
      writePrefix(prefix, message.length, compressed);
      stream.cork();
      stream.write(prefix);
      stream.write(message);
      stream.uncork();
    }
    const waiting = stream.writableLength;
    if (waiting <= AHEAD_BYTES) return true;
    if (!this.#isFull) {
      this.#isFull = true;
      stream.once("drain", this.#drained);
    }
    const more = waiting - this.#heldBytes;
    if (!this.#budget.hold(more)) return false;
    this.#heldBytes = waiting;
    return true;
  }

  /** The stream is over. */
  drop(): void {
    this.#isWanted = false;
    this.#budget.forget(this.#grant);
    this.#release();
  }

  readonly #drained = (): void => {
    this.#isFull = false;
    this.#release();
    this.#grant();
  };

  readonly #grant = (): void => {
    if (!this.#isWanted || this.#isFull) return;
    if (this.#budget.isTight) {
      this.#budget.wait(this.#grant);
      return;
    }
    this.#isWanted = false;
    this.#onRoom();
  };

  #release(): void {
    const held = this.#heldBytes;
    this.#heldBytes = 0;
    if (held > 0) this.#budget.release(held);
  }
}

function writePrefix(bytes: Buffer, length: number, compressed: boolean): void {
  bytes[0] = compressed ? 1 : 0;
  bytes.writeUInt32BE(length, 1);
}
