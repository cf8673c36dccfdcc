/**
 * PING and PONG: whether the peer still answers, and how long the way to it is (docs/protocol.md §8,
 * Liveness). PONG says that every record sealed before its PING was handled; it never says that a
 * call ran.
 */
import type { ControlQueue } from "./control-queue.ts";
import { PING, PONG, readU32 } from "./frame.ts";
import type { Lifetime } from "./lifetime.ts";
import { state } from "./violation.ts";

/** A round trip is measured again after this long, when credit moves. */
const STALE_MS = 1_000;
/** Round trips that are measured at first, one after the other: the first of a process is slow. */
const FIRST_ROUND_TRIPS = 4;
/** Unless it takes so long that a process cannot be what makes it slow. */
const FAR_MS = 20;
/** What event loops and short queues add to a round trip, which says nothing of the distance. */
const LOCAL_MS = 2;

export class Liveness {
  readonly #lifetime: Lifetime;
  readonly #control: ControlQueue;
  #roundTripMs = Infinity;
  #roundTripsDue = FIRST_ROUND_TRIPS;
  #measuredMs = -Infinity;

  constructor(lifetime: Lifetime, control: ControlQueue) {
    this.#lifetime = lifetime;
    this.#control = control;
  }

  /**
   * How far away the peer is: the shortest round trip that was seen, since the others waited behind
   * what was on the way, less what is none of the way. Undefined until it was measured.
   */
  get distanceMs(): number | undefined {
    if (this.#roundTripsDue > 0) return undefined;
    return Math.max(0, this.#roundTripMs - LOCAL_MS);
  }

  /** @throws Violation `state` for a PING before the PONG of the last one left. */
  receivePing(body: Uint8Array): void {
    if (this.#control.holds(PONG)) throw state("PING came again before its PONG");
    this.#control.push(PONG, 0, [readU32(body, 0), readU32(body, 4)]);
  }

  /** @throws Violation `state` when no PING was out. */
  receivePong(nowMs: number): void {
    const roundTripMs = this.#lifetime.pongReceived(nowMs);
    if (Number.isNaN(roundTripMs)) throw state("PONG came without a PING");
    this.#roundTripMs = Math.min(roundTripMs, this.#roundTripMs);
    this.#measuredMs = nowMs;
    this.#roundTripsDue = roundTripMs >= FAR_MS ? 0 : Math.max(0, this.#roundTripsDue - 1);
    if (this.#roundTripsDue > 0) this.#ping(nowMs);
  }

  /** Asks a peer that is silent whether it is there; false when it did not answer. */
  watch(nowMs: number): boolean {
    if (nowMs < this.#lifetime.silenceMs()) return true;
    if (this.#lifetime.pingIsOut) return false;
    this.#ping(nowMs);
    return true;
  }

  /** Credit moves: the round trip decides how far it may grow. */
  measure(nowMs: number): void {
    if (nowMs - this.#measuredMs > STALE_MS && !this.#lifetime.pingIsOut) this.#ping(nowMs);
  }

  #ping(nowMs: number): void {
    this.#lifetime.pingSent(nowMs);
    this.#control.push(PING, 0, [0, 0]);
  }
}
