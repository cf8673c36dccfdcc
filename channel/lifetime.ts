/**
 * The times of a session: its age, its idleness, and whether the peer still answers
 * (docs/protocol.md §8 Liveness, §11). It holds no clock: the driver's time comes in as `nowMs`.
 */
import type { SessionTerms } from "./established.ts";

/** Silence with open calls after which PING is sent, and again after which the session is closed. */
const SILENCE_MS = 20_000;
/** How long calls that run at max_age may go on. */
export const DRAIN_MS = 600_000;
/** How long the peer's `end` is waited for once the own one left. */
export const END_MS = 20_000;
/** However long the terms allow: beyond it a key would grow too old between two records (§7). */
const MAX_IDLE_MS = 600_000;
/** A client opens nothing when the enclave may be about to end the session for idleness. */
const IDLE_MARGIN_MS = 30_000;

export class Lifetime {
  readonly startMs: number;
  readonly #maxAgeMs: number;
  readonly #maxIdleMs: number;
  readonly #renewMs: number;
  #lastActivityMs: number;
  #lastReceivedMs: number;
  #pingSentMs = Infinity;

  /** `jitter` in 0..1 spreads the renewal of many sessions over a tenth of their age. */
  constructor(terms: SessionTerms, startMs: number, jitter: number) {
    this.startMs = startMs;
    this.#maxAgeMs = terms.maxAgeMs;
    this.#maxIdleMs = Math.min(terms.maxIdleMs, MAX_IDLE_MS);
    this.#renewMs = startMs + terms.maxAgeMs * (0.8 - 0.1 * jitter);
    this.#lastActivityMs = startMs;
    this.#lastReceivedMs = startMs;
  }

  received(nowMs: number, isActivity: boolean): void {
    this.#lastReceivedMs = nowMs;
    if (isActivity) this.#lastActivityMs = nowMs;
  }

  sent(nowMs: number): void {
    this.#lastActivityMs = nowMs;
  }

  /** The first call after none: silence counts from here. */
  callsOpened(nowMs: number): void {
    this.#lastReceivedMs = Math.max(this.#lastReceivedMs, nowMs);
  }

  pingSent(nowMs: number): void {
    this.#pingSentMs = nowMs;
  }

  /** Gives the round trip in milliseconds; NaN when no PING was out. */
  pongReceived(nowMs: number): number {
    const roundTripMs = nowMs - this.#pingSentMs;
    this.#pingSentMs = Infinity;
    return Number.isFinite(roundTripMs) ? roundTripMs : Number.NaN;
  }

  get pingIsOut(): boolean {
    return this.#pingSentMs !== Infinity;
  }

  /** When the client makes the next session and opens no more calls on this one. */
  get renewMs(): number {
    return this.#renewMs;
  }

  /** Whether a client may open a call: young enough, and not about to be ended for idleness. */
  isFresh(nowMs: number): boolean {
    const idleMs = this.#maxIdleMs - Math.min(IDLE_MARGIN_MS, this.#maxIdleMs / 2);
    return nowMs < this.#renewMs && nowMs - this.#lastActivityMs < idleMs;
  }

  /** When the enclave drains the session. */
  expiryMs(hasCalls: boolean): number {
    const age = this.startMs + this.#maxAgeMs;
    return hasCalls ? age : Math.min(age, this.#lastActivityMs + this.#maxIdleMs);
  }

  /** With open calls: when PING is due, or, once it is out, when the peer counts as gone. */
  silenceMs(): number {
    const since = Math.max(this.#lastReceivedMs, this.pingIsOut ? this.#pingSentMs : -Infinity);
    return since + SILENCE_MS;
  }
}
