/**
 * The sessions of a channel and their life (docs/protocol.md §11): made when the first call needs
 * one, replaced before they end, made again with back-off after a failure. It gives each call a
 * session that can take it, and lets calls wait while one is being made.
 */
import { connectivityState as State } from "@grpc/grpc-js";

import { AttestationError } from "../../attestation/errors.ts";
import { ChannelError } from "../../channel/errors.ts";
import { TransportError } from "../../transport/errors.ts";
import { backOffMs } from "./back-off.ts";
import { Connectivity } from "./connectivity.ts";
import type { Connect, LiveSession, PendingSession } from "./live-session.ts";

/** Sessions beyond those asked for, when all are full. */
const MAX_EXTRA_SESSIONS = 8;
/** A session that ends sooner counts as a failure when the next is timed. */
const SHORT_LIFE_MS = 10_000;
/** A session that ends is replaced unasked if calls were started this recently. */
const IN_USE_MS = 60_000;
/** The part of its age up to which a session without a replacement takes calls. */
const LAST_OPEN_SHARE = 0.95;

/** A call that waits for a session. */
export interface WaitingCall {
  readonly waitForReady: boolean;
  /** Whether this session is one that the call may go to. */
  mayUse(live: LiveSession): boolean;
  onSession(live: LiveSession): void;
  /** No session will come; the call is not queued any more. */
  onNoSession(error: Error): void;
}

export class SessionSource {
  readonly connectivity: Connectivity = new Connectivity();
  readonly #connect: Connect;
  readonly #sessions: number;
  readonly #waiting = new Set<WaitingCall>();
  readonly #pending = new Set<PendingSession>();
  /** Sessions that take calls. */
  readonly #usable = new Set<LiveSession>();
  /** Sessions that are due to be replaced, and are not yet. */
  readonly #aging = new Set<LiveSession>();
  /** Sessions that end with their last call. */
  readonly #retired = new Set<LiveSession>();
  readonly #openedMs = new WeakMap<LiveSession, number>();
  /** Why no session can be made at the moment. */
  #error: Error | undefined;
  #failures = 0;
  #shortLives = 0;
  #retryTimer: NodeJS.Timeout | undefined;
  /** Sessions were asked for while it was too early; they are made when it is time. */
  #isWanted = false;
  #lastPickMs = -Infinity;
  #isHeld = false;
  #isClosed = false;

  /** `sessions`: how many are kept open while the channel is in use. */
  constructor(connect: Connect, sessions: number) {
    this.#connect = connect;
    this.#sessions = sessions;
  }

  /** The least loaded session that can take `call` now. */
  pick(call: WaitingCall): LiveSession | undefined {
    const nowMs = performance.now();
    this.#lastPickMs = nowMs;
    let best: LiveSession | undefined;
    let fewest = Infinity;
    for (const live of this.#usable) {
      const { openCalls } = live.session;
      if (openCalls >= fewest || openCalls >= live.maxConcurrentCalls) continue;
      if (!live.session.canOpen(nowMs) || !call.mayUse(live)) continue;
      best = live;
      fewest = openCalls;
    }
    if (best !== undefined || this.#aging.size === 0) return best;
    for (const live of this.#aging) if (this.#isYoung(live) && call.mayUse(live)) return live;
    return undefined;
  }

  /** Gives `call` a session, now or once there is one, or the reason why there is none. */
  enqueue(call: WaitingCall): void {
    const live = this.pick(call);
    if (live !== undefined) {
      call.onSession(live);
      return;
    }
    if (this.#isClosed) {
      call.onNoSession(channelClosed());
      return;
    }
    if (this.#error !== undefined && (!call.waitForReady || isFinal(this.#error))) {
      call.onNoSession(this.#error);
      return;
    }
    this.#waiting.add(call);
    this.fill();
  }

  /** The call does not wait any more. */
  dequeue(call: WaitingCall): void {
    this.#waiting.delete(call);
  }

  /** A call has ended: there may be room for one that waits. */
  callEnded(): void {
    if (this.#waiting.size > 0) this.#serve();
  }

  /** Makes as many sessions as are missing, unless it is too early after a failure. */
  fill(): void {
    if (this.#retryTimer !== undefined) {
      this.#isWanted = true;
    } else if (!this.#isClosed) {
      const nowMs = performance.now();
      let usable = 0;
      for (const live of this.#usable) if (live.session.canOpen(nowMs)) usable += 1;
      const pending = this.#pending.size;
      let missing = this.#sessions - usable - pending;
      // A call waits although no session is missing: those that there are cannot take it.
      const isShort = this.#waiting.size > 0 && pending === 0;
      if (missing <= 0 && isShort && usable < this.#sessions + MAX_EXTRA_SESSIONS) missing = 1;
      for (; missing > 0; missing -= 1) this.#make();
    }
    this.#update();
  }

  /** Opens nothing more on a session; it ends with its last call. */
  retire(live: LiveSession): void {
    if (!this.#usable.delete(live) && !this.#aging.delete(live)) return;
    this.#retired.add(live);
    live.session.close(performance.now(), Infinity);
    this.#update();
  }

  /** Ends at once every session that `isAdmitted` does not admit; its calls end as `unknown`. */
  reappraise(isAdmitted: (live: LiveSession) => boolean): void {
    for (const live of [...this.#usable, ...this.#aging, ...this.#retired]) {
      if (!isAdmitted(live)) live.session.abort();
    }
  }

  /** While held, the wait for the next attempt keeps the process running. */
  hold(isHeld: boolean): void {
    this.#isHeld = isHeld;
    if (isHeld) this.#retryTimer?.ref();
    else this.#retryTimer?.unref();
  }

  /** Calls that wait end; sessions end with their last call. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearTimeout(this.#retryTimer);
    for (const pending of this.#pending) pending.abandon();
    this.#pending.clear();
    for (const live of [...this.#usable, ...this.#aging]) this.retire(live);
    this.connectivity.set(State.SHUTDOWN);
    this.#refuseWaiting(channelClosed(), () => true);
  }

  #make(): void {
    let live: LiveSession | undefined;
    const pending = this.#connect({
      onOpen: (opened) => {
        live = opened;
        this.#pending.delete(pending);
        this.#opened(opened);
      },
      onFailed: (error) => {
        this.#pending.delete(pending);
        this.#failed(error);
      },
      onDraining: () => {
        if (live !== undefined) this.#draining(live);
      },
      onClosed: () => {
        if (live !== undefined) this.#closed(live);
      },
    });
    this.#pending.add(pending);
  }

  #opened(live: LiveSession): void {
    this.#openedMs.set(live, performance.now());
    this.#failures = 0;
    this.#error = undefined;
    this.#usable.add(live);
    for (const old of this.#aging) this.retire(old);
    this.#update();
    this.#serve();
  }

  #failed(error: Error): void {
    this.#failures += 1;
    // Another attempt may still succeed.
    if (!this.#canTakeCalls() && this.#pending.size === 0) {
      this.#error = error;
      this.#refuseWaiting(error, (call) => !call.waitForReady || isFinal(error));
    }
    this.#retryAfter(backOffMs(this.#failures));
  }

  #draining(live: LiveSession): void {
    if (!this.#usable.delete(live)) return;
    this.#aging.add(live);
    if (live.session.openCalls > 0 || this.#isInUse()) this.fill();
    // Without a replacement under way, there is nothing to wait for.
    if (this.#pending.size === 0 && this.#retryTimer === undefined) this.retire(live);
  }

  #closed(live: LiveSession): void {
    this.#usable.delete(live);
    this.#aging.delete(live);
    this.#retired.delete(live);
    if (this.#isClosed) return;
    const ageMs = performance.now() - (this.#openedMs.get(live) ?? 0);
    this.#shortLives = ageMs < SHORT_LIFE_MS ? this.#shortLives + 1 : 0;
    // One may be a coincidence. Several in a row are a loop that costs the enclave a document each.
    if (this.#shortLives > 1) this.#retryAfter(backOffMs(this.#shortLives - 1));
    else if (this.#waiting.size > 0) this.fill();
    else if (this.#usable.size > 0 && this.#isInUse()) this.fill();
    this.#update();
  }

  #retryAfter(delayMs: number): void {
    if (!this.#isClosed && this.#retryTimer === undefined) {
      this.#retryTimer = setTimeout(() => {
        this.#retryTimer = undefined;
        this.#error = undefined;
        const isWanted = this.#isWanted;
        this.#isWanted = false;
        if (isWanted || this.#waiting.size > 0 || this.#canTakeCalls()) this.fill();
        this.#update();
      }, delayMs);
      if (!this.#isHeld) this.#retryTimer.unref();
    }
    this.#update();
  }

  #serve(): void {
    for (const call of this.#waiting) {
      const live = this.pick(call);
      if (live === undefined) {
        // Otherwise each call that ends would cost a look at every call that waits.
        if (!this.#hasRoom()) break;
        continue;
      }
      this.#waiting.delete(call);
      call.onSession(live);
    }
    if (this.#waiting.size > 0) this.fill();
  }

  #refuseWaiting(error: Error, isRefused: (call: WaitingCall) => boolean): void {
    for (const call of this.#waiting) {
      if (isRefused(call) && this.#waiting.delete(call)) call.onNoSession(error);
    }
  }

  #isInUse(): boolean {
    return this.#waiting.size > 0 || performance.now() - this.#lastPickMs < IN_USE_MS;
  }

  #canTakeCalls(): boolean {
    const nowMs = performance.now();
    for (const live of this.#usable) if (live.session.canOpen(nowMs)) return true;
    for (const live of this.#aging) if (this.#isYoung(live)) return true;
    return false;
  }

  /** Whether there is a session for a call that may use any. */
  #hasRoom(): boolean {
    const nowMs = performance.now();
    for (const { session, maxConcurrentCalls } of this.#usable) {
      if (session.openCalls < maxConcurrentCalls && session.canOpen(nowMs)) return true;
    }
    for (const live of this.#aging) if (this.#isYoung(live)) return true;
    return false;
  }

  /** Whether a session that is due to be replaced still takes calls. */
  #isYoung(live: LiveSession): boolean {
    const { session, maxAgeMs, maxConcurrentCalls } = live;
    if (session.isDraining || session.openCalls >= maxConcurrentCalls) return false;
    return performance.now() - (this.#openedMs.get(live) ?? 0) < maxAgeMs * LAST_OPEN_SHARE;
  }

  #update(): void {
    if (this.#canTakeCalls()) this.connectivity.set(State.READY);
    else if (this.#error !== undefined) this.connectivity.set(State.TRANSIENT_FAILURE);
    else if (this.#pending.size > 0 || this.#waiting.size > 0 || this.#isWanted) {
      this.connectivity.set(State.CONNECTING);
    } else this.connectivity.set(State.IDLE);
  }
}

function channelClosed(): TransportError {
  return new TransportError("closed", "the channel is closed");
}

/** Failures that another attempt, or waiting, does not cure: a call ends with them at once. */
function isFinal(error: Error): boolean {
  if (error instanceof AttestationError) return error.code !== "nsm-unavailable";
  return (
    error instanceof ChannelError &&
    (error.code === "unsupported-version" ||
      error.code === "no-common-suite" ||
      error.code === "caller-refused")
  );
}
