/**
 * PING and PONG: whether the peer still answers, and how long the way to it is (docs/protocol.md §8,
 * Liveness). PONG says that every record sealed before its PING was handled; it never says that a
 * call ran.
 */
import type { ControlQueue } from "./control-queue.ts";
import { PING, PONG, readU32 } from "./frame.ts";
import type { Lifetime } from "./lifetime.ts";
import { ALERT, Violation } from "./violation.ts";

/** A round trip is measured again after this long, when credit moves. */
const STALE_MS = 10_000;

export class Liveness {
  readonly #lifetime: Lifetime;
  readonly #control: ControlQueue;
  #roundTripMs = 0;
  #measuredMs = -Infinity;

  constructor(lifetime: Lifetime, control: ControlQueue) {
    this.#lifetime = lifetime;
    this.#control = control;
  }

  /** 0 until it was measured. */
  get roundTripMs(): number {
    return this.#roundTripMs;
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
    this.#roundTripMs = roundTripMs;
    this.#measuredMs = nowMs;
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

function state(what: string): Violation {
  return new Violation(ALERT.state, "malformed-frame", what);
}
