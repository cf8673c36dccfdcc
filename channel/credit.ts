/**
 * Credit: the bytes that a peer may still send for a call (docs/protocol.md §8). This is the
 * receiver's half; the sender only counts down.
 */
import { ALERT, Violation } from "./violation.ts";

/** Credit never exceeds this in sum. */
const MAX_CREDIT = 0x7fffffff;
/** The most that a receiver keeps granted for one call, however fast the call is. */
const MAX_WINDOW_BYTES = 8_388_608;

/** Granted beyond what a message under way needs. */
const SPARE_BYTES = 16_384;

/** Adds a grant of the peer. @throws Violation `credit` for 0 or a sum beyond 2^31 - 1. */
export function addCredit(available: number, granted: number): number {
  const sum = available + granted;
  if (granted === 0 || sum > MAX_CREDIT) {
    throw new Violation(ALERT.credit, "credit-overrun", `a grant of ${granted} is not allowed`);
  }
  return sum;
}

/** What one call's peer may send, and when it may send more. */
export class ReceiveCredit {
  /** What is kept granted; doubles while it is what limits the call. */
  #window: number;
  #available: number;
  /** The cost of what came and was not yet consumed by the application. */
  #held = 0;
  #lastGrantMs = -Infinity;

  constructor(initial: number) {
    this.#window = initial;
    this.#available = initial;
  }

  get heldBytes(): number {
    return this.#held;
  }

  /** @throws Violation `credit` when the frame costs more than was granted. */
  receive(cost: number): void {
    if (cost > this.#available) {
      throw new Violation(
        ALERT.credit,
        "credit-overrun",
        `a frame costs ${cost}, but ${this.#available} were granted`,
      );
    }
    this.#available -= cost;
    this.#held += cost;
  }

  consume(cost: number): void {
    this.#held -= cost;
  }

  /**
   * The grant that is due, 0 for none. `demand` is what the message in assembly still costs while
   * the application waits for it, otherwise 0: a message larger than all credit must not wait for
   * itself.
   */
  grant(demand: number, nowMs: number, roundTripMs: number): number {
    let due = 0;
    if (2 * this.#owed >= this.#window) {
      // Half of the window within one round trip: it is the window that limits the call.
      const limiting = nowMs - this.#lastGrantMs < roundTripMs;
      if (limiting && 2 * this.#window <= MAX_WINDOW_BYTES) this.#window *= 2;
      this.#lastGrantMs = nowMs;
      due = this.#owed;
    }
    // With some to spare: a peer that sends tiny pieces would provoke a grant with each.
    if (demand > this.#available) due = Math.max(due, demand + SPARE_BYTES - this.#available);
    due = Math.min(due, MAX_CREDIT - this.#available);
    this.#available += due;
    return due;
  }

  get #owed(): number {
    return this.#window - this.#available - this.#held;
  }
}
