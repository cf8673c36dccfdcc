/** The calls of one session; `ClientCalls` and `EnclaveCalls` are the two ends of it. */
import type { ChannelError } from "./errors.ts";
import type { NumberTable } from "./number-table.ts";

/** What a session needs of its calls, whichever end it is. */
export interface CallTable {
  /** Calls that are open on the wire or wait to be. */
  readonly openCalls: number;
  /** How many, while each of them moves much; Infinity when one does not, or they are many. */
  readonly bulkCalls: number;
  /** Whether the other end, or the numbers of calls, let no more be opened. */
  readonly isDraining: boolean;
  /** The next deadline, or something earlier; Infinity: none. */
  readonly nextDeadlineMs: number;
  /** Takes a frame of a call, or GOAWAY. @throws Violation */
  receive(type: number, flags: number, callId: number, body: Uint8Array, recordBytes: number): void;
  /** Ends the calls whose deadline has passed. */
  tick(nowMs: number): void;
  /** Ends all calls that are left: with an error, or because the session ends in order. */
  endAll(error: ChannelError | undefined): void;
  /** Ends the calls that outlast the session. */
  endOverdue(): void;
  /** Ends the call that keeps most memory; false when none keeps any. */
  shed(): boolean;
}

/** A call, as far as both ends look the same from their table. */
export interface TimedCall {
  readonly deadlineMs: number;
  readonly heldBytes: number;
  /** Bytes of messages that came and that left so far. */
  readonly movedBytes: number;
  expire(): void;
  shed(): void;
}

/**
 * The earliest deadline of many calls, kept cheap: it may be too early, when the call it belonged to
 * is over, and is made exact again when it is reached.
 */
export class Deadlines {
  #nextMs = Infinity;

  get nextMs(): number {
    return this.#nextMs;
  }

  add(deadlineMs: number): void {
    if (deadlineMs < this.#nextMs) this.#nextMs = deadlineMs;
  }

  tick(nowMs: number, calls: () => Iterable<TimedCall>): void {
    if (nowMs < this.#nextMs) return;
    const passed: TimedCall[] = [];
    this.#nextMs = Infinity;
    for (const call of calls()) {
      if (call.deadlineMs <= nowMs) passed.push(call);
      else this.add(call.deadlineMs);
    }
    for (const call of passed) call.expire();
  }
}

/** A call that moved more is taken for one that will go on so. */
const BULK_BYTES = 131_072;
/** More calls are not looked at. */
const MAX_BULK_CALLS = 8;

/** How many calls there are; Infinity when one of them moved little, or they are many. */
export function countBulk(calls: NumberTable<TimedCall>): number {
  if (calls.size > MAX_BULK_CALLS) return Infinity;
  return calls.values().every(({ movedBytes }) => movedBytes > BULK_BYTES) ? calls.size : Infinity;
}

/** Ends the call that keeps most; false when none keeps anything. */
export function shedMost(calls: Iterable<TimedCall>): boolean {
  let most: TimedCall | undefined;
  for (const call of calls) {
    if (call.heldBytes > (most?.heldBytes ?? 0)) most = call;
  }
  most?.shed();
  return most !== undefined;
}
