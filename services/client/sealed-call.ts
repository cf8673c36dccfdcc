/**
 * One call of the application over all its attempts (docs/protocol.md §9, §10): it takes a session,
 * puts the call on it, keeps the request while it may have to be sent again, and ends once. Free of
 * grpc-js's call objects, so that every interface above it, stubs and typed clients alike, stands on
 * the same rules.
 *
 * A small call on a ready session passes without a timer, a promise or a closure.
 */
import { status as Code } from "@grpc/grpc-js";

import type { VerifiedEvidence } from "../../attestation/verified-evidence.ts";
import type { CallEnd, ClientCallEvents, Outcome } from "../../channel/call-events.ts";
import type { Entry, ResponseHeader } from "../../channel/call-message.ts";
import { ChannelError } from "../../channel/errors.ts";
import { backOffMs } from "./back-off.ts";
import type { CallLedger } from "./call-ledger.ts";
import type { LiveCall, LiveSession } from "./live-session.ts";
import {
  blamesSession,
  CAPACITY_DELAY_MS,
  MAX_KEPT_CALL_BYTES,
  MAX_KEPT_CHANNEL_BYTES,
  MAX_SEALED_ATTEMPTS,
  combineOutcomes,
  outcomeOfAttempt,
  resendRule,
  wasSealed,
} from "./resend.ts";
import type { SessionSource, WaitingCall } from "./session-source.ts";
import { deadlineStatus, own, statusOfEnd, statusOfError } from "./status.ts";
import type { CallStatus } from "./status.ts";

const MAX_TIMER_MS = 2 ** 31 - 1;

/** What a call needs to know before it starts. */
export interface SealedCallOptions {
  /** "/package.Service/Method" */
  readonly method: string;
  readonly authority: string;
  /** Of messages that are sent as compressed; empty: none are. */
  readonly encoding: string;
  /** On the clock of performance.now(); Infinity: none. */
  readonly deadlineMs: number;
  /** Whether the method is declared free of side effects, or idempotent. */
  readonly idempotent: boolean;
}

/** Who gets what a call brings. Called inside a session's methods: must not throw. */
export interface CallReceiver {
  /** At most once, first. */
  onHeaders(header: ResponseHeader): void;
  /** One for each `read()`. The bytes belong to the receiver. */
  onMessage(message: Uint8Array, compressed: boolean): void;
  /** Once, last. */
  onStatus(status: CallStatus): void;
}

interface RequestPart {
  readonly message: Uint8Array;
  readonly compressed: boolean;
  /** Until a session has the part; from then on the session calls it. */
  onTaken: (() => void) | undefined;
}

export class SealedCall implements ClientCallEvents, WaitingCall {
  readonly #source: SessionSource;
  readonly #ledger: CallLedger;
  readonly #receiver: CallReceiver;
  readonly #options: SealedCallOptions;
  #metadata: readonly Entry[] = [];
  #waitForReady = false;

  #state: "new" | "waiting" | "open" | "over" = "new";
  #call: LiveCall | undefined;
  #live: LiveSession | undefined;
  /** Counts what makes a `LiveCall` in hand outdated, for code that a session calls back into. */
  #epoch = 0;
  #sealedAttempts = 0;
  #outcome: Outcome = "not-executed";
  /** Sessions on which this call was sealed; it never returns to one. */
  #used: LiveSession[] | undefined;
  #cancelled: CallStatus | undefined;

  /** The whole request so far; undefined once the call is committed to its session. */
  #request: RequestPart[] | undefined = [];
  #keptBytes = 0;
  #halfClosed = false;
  #unansweredReads = 0;
  /** The kept request is being put on a session. */
  #isReplaying = false;

  #deadlineTimer: NodeJS.Timeout | undefined;
  #pauseTimer: NodeJS.Timeout | undefined;

  constructor(
    source: SessionSource,
    ledger: CallLedger,
    receiver: CallReceiver,
    options: SealedCallOptions,
  ) {
    this.#source = source;
    this.#ledger = ledger;
    this.#receiver = receiver;
    this.#options = options;
  }

  /** Whether it waits for a session even when none can be made at the moment. */
  get waitForReady(): boolean {
    return this.#waitForReady;
  }

  /** Whether it was ended here, be it before it was started. */
  get isCancelled(): boolean {
    return this.#cancelled !== undefined;
  }

  /** The evidence of the session that the call is, or was last, on. */
  get evidence(): VerifiedEvidence | undefined {
    return this.#live?.session.evidence;
  }

  /** The address of the proxy that the call went to. */
  get peer(): string | undefined {
    return this.#live?.peer;
  }

  /** Starts the call; `metadata` is not changed afterwards. What was sent or read before follows. */
  start(metadata: readonly Entry[], waitForReady: boolean): void {
    if (this.#state !== "new") return;
    this.#metadata = metadata;
    this.#waitForReady = waitForReady;
    this.#state = "waiting";
    this.#ledger.opened();
    this.#ledger.keptBytes += this.#keptBytes;
    if (this.#cancelled !== undefined) {
      this.#finish(this.#cancelled);
      return;
    }
    const live = this.#source.pick(this);
    if (live === undefined) this.#wait();
    else this.onSession(live);
  }

  /**
   * Sends one message, whose bytes do not change afterwards. `onTaken` is called once, when there is
   * room for more or the call is over.
   */
  send(message: Uint8Array, compressed: boolean, onTaken?: () => void): void {
    if (this.#state === "over" || this.#cancelled !== undefined) {
      onTaken?.();
      return;
    }
    const call = this.#isReplaying ? undefined : this.#call;
    const request = this.#request;
    if (request !== undefined) {
      request.push({ message, compressed, onTaken: call === undefined ? onTaken : undefined });
      this.#keptBytes += message.length;
      if (this.#state !== "new") this.#ledger.keptBytes += message.length;
      if (call !== undefined) this.#commitIfLarge();
    }
    call?.sendMessage(message, compressed, onTaken);
  }

  /** Asks for one more message. */
  read(): void {
    this.#unansweredReads += 1;
    if (!this.#isReplaying) this.#call?.read();
  }

  halfClose(): void {
    if (this.#halfClosed) return;
    this.#halfClosed = true;
    if (!this.#isReplaying) this.#call?.halfClose();
  }

  /** Ends the call here, with `code` and `details`; without effect on one that is over. */
  cancel(code: Code, details: string): void {
    if (this.#state === "over" || this.#cancelled !== undefined) return;
    this.#cancelled = own(code, details, "not-executed", undefined);
    // The session answers with onEnd, which knows whether the call was sealed.
    if (this.#call !== undefined) this.#call.cancel();
    else if (this.#state !== "new") this.#finish({ ...this.#cancelled, outcome: this.#outcome });
  }

  // What a source calls.

  /** Invariant: a call is never sealed twice on one session. */
  mayUse(live: LiveSession): boolean {
    return this.#used === undefined || !this.#used.includes(live);
  }

  onSession(live: LiveSession): void {
    this.#stopTimers();
    this.#state = "open";
    this.#live = live;
    const epoch = ++this.#epoch;
    const { method, authority, encoding, deadlineMs } = this.#options;
    const metadata = this.#metadata;
    let call: LiveCall;
    try {
      call = live.session.open({ method, metadata, authority, encoding, deadlineMs }, this);
    } catch (error) {
      this.#notOpened(live, error);
      return;
    }
    if (this.#epoch !== epoch) return;
    this.#call = call;
    if (this.#unansweredReads > 0 || this.#halfClosed || this.#keepsMessages()) {
      this.#sendKept(call, epoch);
    }
  }

  onNoSession(error: Error): void {
    this.#finish(statusOfError(error, this.#outcome));
  }

  // What a session calls.

  onHeaders(header: ResponseHeader): void {
    if (this.#cancelled !== undefined) return;
    this.#commit();
    this.#receiver.onHeaders(header);
  }

  onMessage(message: Uint8Array, compressed: boolean): void {
    if (this.#cancelled !== undefined) return;
    this.#commit();
    this.#unansweredReads -= 1;
    this.#receiver.onMessage(message, compressed);
  }

  onEnd(end: CallEnd): void {
    if (this.#state !== "open") return;
    this.#epoch += 1;
    this.#call = undefined;
    this.#outcome = combineOutcomes(this.#outcome, outcomeOfAttempt(end));
    if (wasSealed(end)) this.#sealedAttempts += 1;
    if (this.#live !== undefined && blamesSession(end)) this.#source.retire(this.#live);
    if (this.#cancelled !== undefined) {
      this.#finish({ ...this.#cancelled, outcome: this.#outcome });
      return;
    }
    if (!this.#resend(end)) this.#finish(this.#statusOf(end));
  }

  #statusOf(end: CallEnd): CallStatus {
    return statusOfEnd(end, this.#outcome, this.#live?.outerError);
  }

  /** Carries out the rule of docs/protocol.md §10; false: the call is over. */
  #resend(end: CallEnd): boolean {
    const rule = resendRule(end, this.#options.idempotent);
    if (rule === "no") return false;
    if (this.#request === undefined || this.#sealedAttempts >= MAX_SEALED_ATTEMPTS) return false;
    if (wasSealed(end) && this.#live !== undefined) {
      this.#used ??= [];
      this.#used.push(this.#live);
    }
    switch (rule) {
      case "at-once":
        this.#wait();
        return true;
      case "on-open-session":
        return this.#pause(CAPACITY_DELAY_MS, () => {
          const live = this.#source.pick(this);
          if (live === undefined) this.#finish(this.#statusOf(end));
          else this.onSession(live);
        });
      case "after-back-off":
        return this.#pause(backOffMs(this.#sealedAttempts), () => {
          this.#wait();
        });
    }
    return rule satisfies never;
  }

  /** Waits for a session that this call may use. */
  #wait(): void {
    this.#state = "waiting";
    if (this.#startDeadline()) this.#source.enqueue(this);
  }

  /** Does `then` after a wait; false if the deadline comes first. */
  #pause(delayMs: number, then: () => void): boolean {
    if (this.#options.deadlineMs - performance.now() <= delayMs) return false;
    this.#state = "waiting";
    if (!this.#startDeadline()) return true;
    this.#pauseTimer = setTimeout(then, delayMs);
    return true;
  }

  /** While no session watches the deadline, a timer does. False: it has passed, the call is over. */
  #startDeadline(): boolean {
    const { deadlineMs } = this.#options;
    if (deadlineMs === Infinity) return true;
    const leftMs = deadlineMs - performance.now();
    if (leftMs <= 0) {
      this.#finish(deadlineStatus(this.#outcome));
      return false;
    }
    // A longer timer would fire at once.
    if (leftMs > MAX_TIMER_MS) return true;
    // After a back-off it runs already.
    this.#deadlineTimer ??= setTimeout(() => {
      this.#finish(deadlineStatus(this.#outcome));
    }, leftMs);
    return true;
  }

  #stopTimers(): void {
    if (this.#deadlineTimer !== undefined) clearTimeout(this.#deadlineTimer);
    if (this.#pauseTimer !== undefined) clearTimeout(this.#pauseTimer);
    this.#deadlineTimer = undefined;
    this.#pauseTimer = undefined;
  }

  #notOpened(live: LiveSession, error: unknown): void {
    if (error instanceof RangeError) {
      const { message } = error;
      this.onEnd({ kind: "local", code: Code.RESOURCE_EXHAUSTED, message, sealed: false });
      return;
    }
    if (error instanceof ChannelError) {
      // It began to drain since it was picked; nothing was sealed.
      this.#source.retire(live);
      this.onEnd({ kind: "unsealed" });
      return;
    }
    // On any other session it would be the same, for ever.
    this.#finish(statusOfError(error, this.#outcome));
  }

  /** Whatever the application adds meanwhile, from a callback, is found here in its turn. */
  #sendKept(call: LiveCall, epoch: number): void {
    this.#isReplaying = true;
    for (const part of this.#request ?? []) {
      const { message, compressed, onTaken } = part;
      part.onTaken = undefined;
      if (this.#epoch === epoch) call.sendMessage(message, compressed, onTaken);
      else onTaken?.();
    }
    this.#isReplaying = false;
    if (this.#epoch !== epoch) return;
    this.#commitIfLarge();
    if (this.#halfClosed) call.halfClose();
    let left = this.#unansweredReads;
    for (; left > 0 && this.#epoch === epoch; left -= 1) call.read();
  }

  #keepsMessages(): boolean {
    return this.#request !== undefined && this.#request.length > 0;
  }

  #commitIfLarge(): void {
    if (this.#keptBytes > MAX_KEPT_CALL_BYTES || this.#ledger.keptBytes > MAX_KEPT_CHANNEL_BYTES) {
      this.#commit();
    }
  }

  /** From here on the call cannot be sent again. */
  #commit(): void {
    this.#request = undefined;
    this.#ledger.keptBytes -= this.#keptBytes;
    this.#keptBytes = 0;
  }

  #finish(status: CallStatus): void {
    if (this.#state === "over") return;
    if (this.#state === "waiting") this.#source.dequeue(this);
    this.#state = "over";
    this.#epoch += 1;
    this.#stopTimers();
    const unsent = this.#request;
    this.#commit();
    this.#ledger.ended();
    this.#receiver.onStatus(status);
    for (const { onTaken } of unsent ?? []) onTaken?.();
  }
}
