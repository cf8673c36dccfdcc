/**
 * Credit: the bytes that a peer may still send for a call (docs/protocol.md §8). This is the
 * receiver's half; the sender only counts down.
 */
import { ALERT, Violation } from "./violation.ts";

/** Credit never exceeds this in sum. */
const MAX_CREDIT = 0x7fffffff;
/** What is kept granted beside other calls, which wait behind it, and while the distance is unknown. */
const SHARED_WINDOW_BYTES = 131_072;
/** What is kept granted to calls that have the session to themselves, all together. */
const LONE_WINDOW_BYTES = 1_048_576;
/** The most that is kept granted for one call, however fast the call and however long the way. */
const MAX_WINDOW_BYTES = 16_777_216;
/** How much more than the link has carried in a round trip is kept granted, so that it can. */
const LONE_HEADROOM = 4;
const SHARED_HEADROOM = 2.5;
/** What is kept granted shrinks to no less than this share with each round. */
const LEAST_SHARE = 0.75;
/** What a link carries in a millisecond, generously: a message that is waited for gets so much. */
const LINK_BYTES_PER_MS = 131_072;
/** The least that is left to the sender of a message that is waited for. */
const MIN_STEP_BYTES = 32_768;

/** Adds a grant of the peer. @throws Violation `credit` for 0 or a sum beyond 2^31 - 1. */
export function addCredit(available: number, granted: number): number {
  const sum = available + granted;
  if (granted === 0 || sum > MAX_CREDIT) {
    throw new Violation(ALERT.credit, "credit-overrun", `a grant of ${granted} is not allowed`);
  }
  return sum;
}

/** The way to the peer, as far as it decides about credit. */
export interface Link {
  readonly nowMs: number;
  /** The round trip that distance alone makes; undefined while it is not known. */
  readonly distanceMs: number | undefined;
  /**
   * How many calls move much on the session; Infinity while there is another beside them, or was
   * just now, or they are many.
   */
  bulkCalls(): number;
}

/** A message that the application waits for. */
export interface Awaited {
  /** What came of it cost so much. */
  readonly cost: number;
  /** What is missing will cost so much, at the least. */
  readonly demand: number;
}

/** What one call's peer may send, and when it may send more. */
export class ReceiveCredit {
  /** What is to be kept granted, by what the link has carried in the last round. */
  #window = 0;
  /** What was kept granted last. */
  #granted: number;
  #available: number;
  /** The cost of what came and was not yet consumed by the application. */
  #held = 0;
  /** What came since; a round takes half of what is kept granted, and half of a round trip. */
  #roundBytes = 0;
  #roundMs = -Infinity;

  constructor(initial: number) {
    this.#granted = initial;
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
    this.#roundBytes += cost;
  }

  consume(cost: number): void {
    this.#held -= cost;
  }

  /**
   * The grant that is due, 0 for none. A message that the application waits for counts as consumed:
   * one that is larger than all credit must not wait for itself.
   */
  grant(awaited: Awaited | undefined, link: Link): number {
    const waiting = this.#held - (awaited?.cost ?? 0);
    const left = this.#available + waiting;
    let due = 0;
    if (left <= this.#granted * (this.#granted > LONE_WINDOW_BYTES ? 0.75 : 0.5)) {
      due = Math.max(0, this.#nextGranted(waiting <= this.#available, link) - left);
    }
    if (awaited !== undefined) {
      const step = Math.floor((link.distanceMs ?? 0) * LINK_BYTES_PER_MS);
      const missing = Math.min(awaited.demand, Math.max(MIN_STEP_BYTES, step)) - this.#available;
      // With a step to spare: a peer that sends tiny pieces would provoke a grant with each.
      if (missing > 0) due = Math.max(due, missing + MIN_STEP_BYTES);
    }
    due = Math.min(due, MAX_CREDIT - this.#available);
    this.#available += due;
    return due;
  }

  /** What is to be kept granted from now on. */
  #nextGranted(keepsUp: boolean, link: Link): number {
    const { nowMs, distanceMs } = link;
    const bulkCalls = keepsUp && distanceMs !== undefined ? link.bulkCalls() : Infinity;
    const isAlone = bulkCalls !== Infinity;
    const least = Math.max(SHARED_WINDOW_BYTES, Math.floor(LONE_WINDOW_BYTES / bulkCalls));
    const roundMs = nowMs - this.#roundMs;
    if (2 * this.#roundBytes >= this.#granted && 2 * roundMs >= (distanceMs ?? 0)) {
      const bytesPerMs = this.#roundBytes / Math.max(1, roundMs);
      const headroom = isAlone ? LONE_HEADROOM : SHARED_HEADROOM;
      const wanted = keepsUp ? headroom * bytesPerMs * (distanceMs ?? 0) : 0;
      const window = Math.max(wanted, LEAST_SHARE * this.#window);
      this.#window = Math.min(Math.floor(window), MAX_WINDOW_BYTES);
      this.#roundBytes = 0;
      this.#roundMs = nowMs;
    }
    this.#granted = Math.max(least, this.#window);
    return this.#granted;
  }
}
