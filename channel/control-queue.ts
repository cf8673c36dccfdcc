/**
 * The frames that may overtake others and cost no credit: PING, PONG, GOAWAY, CREDIT, CANCEL,
 * REFUSED (docs/protocol.md §8). Bounded, since a peer that reads nothing can provoke them.
 */
import type { Status } from "./call-message.ts";
import { boundOf } from "./call-message.ts";
import { FRAME_HEADER_BYTES, GOAWAY } from "./frame.ts";
import type { RecordBuffer } from "./record-buffer.ts";
import { ALERT, Violation } from "./violation.ts";

/** More than this queued ends the session. */
const MAX_CONTROL_BYTES = 1_048_576;

interface ControlFrame {
  readonly type: number;
  readonly flags: number;
  readonly callId: number;
  /** The body as u32 words, or as a status. */
  readonly body: readonly number[] | Status;
}

export class ControlQueue {
  #frames: ControlFrame[] = [];
  #bytes = 0;

  get isEmpty(): boolean {
    return this.#frames.length === 0;
  }

  /** @throws Violation `limit` when too much waits. */
  push(type: number, callId: number, body: readonly number[] | Status, flags = 0): void {
    this.#frames.push({ type, flags, callId, body });
    this.#bytes += sizeOf(body);
    if (this.#bytes > MAX_CONTROL_BYTES) {
      throw new Violation(ALERT.limit, "credit-overrun", "the peer provokes frames but reads none");
    }
  }

  holds(type: number): boolean {
    return this.#frames.some((frame) => frame.type === type);
  }

  clear(): void {
    this.#frames = [];
    this.#bytes = 0;
  }

  /**
   * Writes what fits. Invariant: `last` is asked for in the step that writes GOAWAY, never earlier;
   * otherwise a call that arrives between would run here and again elsewhere (§10).
   */
  write(record: RecordBuffer, last: () => number): void {
    let written = 0;
    for (const { type, flags, callId, body } of this.#frames) {
      const done =
        type === GOAWAY
          ? record.room >= FRAME_HEADER_BYTES + 4 &&
            record.writeWords(type, flags, callId, [last()])
          : isStatus(body)
            ? record.writeHeader(type, flags, callId, body)
            : record.writeWords(type, flags, callId, body);
      if (!done) break;
      this.#bytes -= sizeOf(body);
      written += 1;
    }
    if (written === this.#frames.length) this.#frames.length = 0;
    else this.#frames.splice(0, written);
  }
}

function isStatus(body: readonly number[] | Status): body is Status {
  return "code" in body;
}

function sizeOf(body: readonly number[] | Status): number {
  return FRAME_HEADER_BYTES + (isStatus(body) ? boundOf(body) : 4 * body.length);
}
