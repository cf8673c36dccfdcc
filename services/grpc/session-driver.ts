/**
 * Gives a session its time and its output (docs/protocol.md §8): takes records on the turn of the
 * event loop after they became possible, so that all that is ready leaves together, and never hands
 * the outer stream much more than it has written, so that a small frame does not wait behind bulk.
 */
import type { Session } from "../../channel/session.ts";

/** The outer stream, as far as a session's records need it. */
export interface OuterStream {
  /** Bytes that were handed over and are not on their way yet. */
  unwrittenBytes(): number;
  /** Sends the outer message of one record, which stands behind `RECORD_HEADROOM` free bytes. */
  write(buffer: Uint8Array): void;
  /** No record follows. */
  end(): void;
}

/** No record is taken while the outer stream still has this much to write. */
const MAX_UNWRITTEN_BYTES = 65_536;
/**
 * Frames of a record that are taken in at once, those of some 16 small calls. What they bring about
 * leaves before the next: the other end has work meanwhile, and other sessions get their turn.
 */
const FRAMES_PER_TURN = 48;
/** A longer timeout would fire at once. */
const MAX_TIMEOUT_MS = 0x7fffffff;

export class SessionDriver {
  readonly #outer: OuterStream;
  #session: Session | undefined;
  #immediate: NodeJS.Immediate | undefined;
  #timer: NodeJS.Timeout | undefined;
  #timerMs = Infinity;

  constructor(outer: OuterStream) {
    this.#outer = outer;
  }

  /** For `SessionEvents`. */
  readonly onOutput = (): void => {
    this.#immediate ??= setImmediate(this.#pump);
  };

  /** Starts to drive. The session's clock is `performance.now()`. */
  drive(session: Session): void {
    this.#session = session;
    this.#pump();
  }

  /** Hands one record to the session. */
  receive(record: Uint8Array): void {
    this.#session?.receive(record, performance.now(), FRAMES_PER_TURN);
    this.#goOn();
  }

  /** The outer stream has room again. */
  resume(): void {
    this.#pump();
  }

  /** For `SessionEvents.onClosed`: sends what is owed (an alert, an end) and ends the outer stream. */
  close(): void {
    const session = this.#session;
    this.#session = undefined;
    clearImmediate(this.#immediate);
    clearTimeout(this.#timer);
    // A record may be being taken: let it leave first.
    setImmediate(() => {
      const last = session?.takeRecord(performance.now());
      if (last !== undefined) this.#outer.write(last);
      this.#outer.end();
    });
  }

  readonly #pump = (): void => {
    this.#immediate = undefined;
    while (this.#session?.hasOutput() && this.#outer.unwrittenBytes() < MAX_UNWRITTEN_BYTES) {
      const record = this.#session.takeRecord(performance.now());
      if (record === undefined) break;
      this.#outer.write(record);
    }
    if (this.#session?.hasUnread) this.#session.takeIn(performance.now(), FRAMES_PER_TURN);
    this.#goOn();
  };

  #goOn(): void {
    if (this.#session?.hasUnread) this.onOutput();
    this.#arm();
  }

  /** A timer that is armed for an earlier time is left alone: it arms the next one itself. */
  #arm(): void {
    const next = this.#session?.nextDeadlineMs() ?? Infinity;
    if (next >= this.#timerMs || next === Infinity) return;
    clearTimeout(this.#timer);
    this.#timerMs = next;
    const delay = Math.min(MAX_TIMEOUT_MS, Math.max(1, Math.ceil(next - performance.now())));
    this.#timer = setTimeout(this.#tick, delay);
    // The outer stream keeps the process alive while calls are open, not the clock.
    this.#timer.unref();
  }

  readonly #tick = (): void => {
    this.#timerMs = Infinity;
    this.#session?.tick(performance.now());
    this.#arm();
  };
}
