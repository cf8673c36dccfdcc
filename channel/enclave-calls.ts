/** The calls of a session, in the enclave: what is accepted, what is refused (docs/protocol.md §9). */
import type { CallHost } from "./call-host.ts";
import { countBulk, Deadlines, shedMost, type CallTable } from "./call-table.ts";
import type { EnclaveCallEvents } from "./call-events.ts";
import { parseRequestHeader, type RequestHeader, type Status } from "./call-message.ts";
import { EnclaveCall, type EnclaveCallOwner } from "./enclave-call.ts";
import type { ChannelError } from "./errors.ts";
import type { SessionTerms } from "./established.ts";
import { OPEN } from "./frame.ts";
import { NumberTable } from "./number-table.ts";
import { state } from "./violation.ts";

/** Takes a call that may run; it may refuse it still. */
export type OnCall = (call: EnclaveCall, header: RequestHeader) => EnclaveCallEvents;

const DELAYED: Status = { code: 4, message: "the call was on its way for too long", trailers: [] };
const FULL: Status = { code: 8, message: "the enclave takes no more calls now", trailers: [] };

export class EnclaveCalls implements CallTable, EnclaveCallOwner {
  /** The client learns of an end by GOAWAY, which the session sends. */
  readonly isDraining = false;
  readonly maxDelayMs: number;
  readonly #host: CallHost;
  readonly #maxCalls: number;
  readonly #isTight: () => boolean;
  readonly #onCall: OnCall;
  readonly #calls = new NumberTable<EnclaveCall>();
  readonly #deadlines = new Deadlines();
  #lastId = 0;
  /** Calls that count against the limit: not over yet, or their handler still runs. */
  #counted = 0;
  /** The `last` of the GOAWAY that was written. */
  #goawayLast = Infinity;

  constructor(host: CallHost, terms: SessionTerms, isTight: () => boolean, onCall: OnCall) {
    this.maxDelayMs = terms.maxDelayMs;
    this.#host = host;
    this.#maxCalls = terms.maxConcurrentCalls;
    this.#isTight = isTight;
    this.#onCall = onCall;
  }

  get openCalls(): number {
    return this.#calls.size;
  }

  get bulkCalls(): number {
    return countBulk(this.#calls);
  }

  get nextDeadlineMs(): number {
    return this.#deadlines.nextMs;
  }

  /**
   * Fixes the `last` of GOAWAY. Invariant: from this step on, no OPEN is run; otherwise a call runs
   * here and, because the client saw it above `last`, again elsewhere.
   */
  fixLast(): number {
    this.#goawayLast = this.#lastId;
    return this.#lastId;
  }

  receive(
    type: number,
    flags: number,
    callId: number,
    body: Uint8Array,
    recordBytes: number,
  ): void {
    if (type === OPEN) {
      this.#open(callId, body);
      return;
    }
    if (callId > this.#lastId) throw state(`call ${callId} was never opened`);
    // A frame for a call that is over is dropped.
    this.#calls.get(callId)?.receive(type, flags, body, recordBytes);
  }

  tick(nowMs: number): void {
    this.#deadlines.tick(nowMs, () => this.#calls.values());
  }

  endAll(error: ChannelError | undefined): void {
    const reason = error === undefined ? "cancelled" : "truncated";
    for (const call of this.#calls.values()) call.abandon(reason);
  }

  /** The session is too old. */
  endOverdue(): void {
    for (const call of this.#calls.values()) call.age();
  }

  shed(): boolean {
    return shedMost(this.#calls.values());
  }

  over(call: EnclaveCall): void {
    this.#calls.delete(call.id);
  }

  uncount(): void {
    this.#counted -= 1;
  }

  #open(callId: number, body: Uint8Array): void {
    if (callId !== this.#lastId + 1) throw state(`OPEN of call ${callId} is out of order`);
    const header = parseRequestHeader(body, this.#host.texts);
    this.#lastId = callId;
    if (callId > this.#goawayLast) return;
    const call = new EnclaveCall(this.#host, this, callId, header, body.length);
    const isFull = this.#counted >= this.#maxCalls || this.#isTight();
    this.#counted += 1;
    this.#calls.add(callId, call);
    if (call.isDelayed(true, this.#host.nowMs)) call.refuse(DELAYED, true);
    else if (isFull) call.refuse(FULL, true);
    else {
      this.#deadlines.add(call.deadlineMs);
      call.attach(this.#onCall(call, header));
    }
  }
}
