/** When a call stops counting against its session's limit of open calls (docs/protocol.md §8). */
import type { OpenCall } from "./open-call.ts";

/** How long a handler that has not answered a cancelled call is taken to be at work. */
const ABANDONED_MS = 30_000;

/**
 * The place that one call takes: until it is over and its handler has returned. Without it a
 * client could open and cancel calls in a row and have any number of handlers at work.
 *
 * An async handler has returned when its promise settles. One with a callback has when it answers;
 * some never do once their call is cancelled, so those are given up after 30 s.
 */
export class Place {
  readonly #call: OpenCall;
  /** The call itself, and its handler while it runs. */
  #holders = 1;
  #answerDue = false;
  #over = false;
  #abandoned: NodeJS.Timeout | undefined;

  constructor(call: OpenCall) {
    this.#call = call;
  }

  /** The handler is at work. */
  hold(): void {
    this.#holders += 1;
  }

  /** What held the place is done. */
  leave(): void {
    this.#holders -= 1;
    if (this.#holders === 0) this.#call.release();
  }

  /** The handler has a callback, which tells when it has returned. */
  awaitAnswer(): void {
    this.#answerDue = true;
  }

  /** It answered, or something else tells when it has returned. */
  answered(): void {
    if (!this.#answerDue) return;
    this.#answerDue = false;
    if (this.#over) this.#giveUp();
  }

  /** The call ended, by its handler's status or before it. Once. */
  callOver(): void {
    this.#over = true;
    if (!this.#answerDue) {
      this.leave();
      return;
    }
    this.#abandoned = setTimeout(() => this.answered(), ABANDONED_MS);
    this.#abandoned.unref();
  }

  #giveUp(): void {
    clearTimeout(this.#abandoned);
    this.leave();
  }
}
