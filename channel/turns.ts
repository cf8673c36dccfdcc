/**
 * Whose frames go into the next record (docs/protocol.md §8, Fairness): calls with little to send
 * first, then the others in turn. It is decided when a record is filled, so a small call never
 * waits behind bytes that another call handed over earlier.
 */

import type { RecordBuffer } from "./record-buffer.ts";

/** A call that takes part. */
export interface Sender {
  /** Bytes of messages that wait in it. */
  readonly queuedBytes: number;
  /** Whether it has a frame that may leave now. */
  readonly canSend: boolean;
  /** Whether it stands in a queue here; for `Turns` alone to set. */
  isQueued: boolean;
  /** Writes frames, messages of at most about `turnBytes`. */
  write(record: RecordBuffer, turnBytes: number): void;
}

/** A call with no more than this queued counts as short. */
const SHORT_BYTES = 8192;
/** What one call may add to a record while others wait. */
const TURN_BYTES = 65_536;
/** Kept free of short calls while long ones wait, so that a flood of short ones starves none. */
const LONG_SHARE_BYTES = 16_384;

export class Turns {
  #short: Sender[] = [];
  #long: Sender[] = [];

  get isEmpty(): boolean {
    return this.#short.length === 0 && this.#long.length === 0;
  }

  /** Queues a call that has something to send; twice is once. */
  add(call: Sender): void {
    if (call.isQueued) return;
    call.isQueued = true;
    this.#queueOf(call).push(call);
  }

  clear(): void {
    for (const call of this.#short.concat(this.#long)) call.isQueued = false;
    this.#short = [];
    this.#long = [];
  }

  /** Whether calls with little to send wait, whose answers others may be waiting for. */
  get hasShort(): boolean {
    return this.#short.some((call) => call.queuedBytes <= SHORT_BYTES);
  }

  /** Lets calls write until the record is full or nothing more can be sent. */
  write(record: RecordBuffer): void {
    this.#pass(this.#short, record, () => (this.#long.length > 0 ? LONG_SHARE_BYTES : 0));
    this.#pass(this.#long, record, () => 0);
  }

  #pass(queue: Sender[], record: RecordBuffer, keepFree: () => number): void {
    let idle = 0;
    while (queue.length > idle && record.room > keepFree()) {
      const call = queue.shift();
      if (call === undefined) return;
      if (queue === this.#short && call.queuedBytes > SHORT_BYTES) {
        this.#long.push(call);
        continue;
      }
      const before = record.length;
      call.write(record, queue.length === 0 ? Infinity : TURN_BYTES);
      call.isQueued = call.canSend;
      if (!call.isQueued) continue;
      this.#queueOf(call).push(call);
      // Calls whose next frame finds no room wait for the next record.
      idle = record.length === before ? idle + 1 : 0;
    }
  }

  #queueOf(call: Sender): Sender[] {
    return call.queuedBytes <= SHORT_BYTES ? this.#short : this.#long;
  }
}
