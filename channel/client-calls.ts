/** The calls of a session, at the client: their numbers, their frames, GOAWAY (docs/protocol.md §8, §10). */
import type { CallHost } from "./call-host.ts";
import { countBulk, Deadlines, shedMost, type CallTable } from "./call-table.ts";
import type { CallEnd, ClientCallEvents } from "./call-events.ts";
import { ClientCall, type ClientCallOwner, type OpenOptions } from "./client-call.ts";
import type { ChannelError } from "./errors.ts";
import { CREDIT, GOAWAY, readU32 } from "./frame.ts";
import { NumberTable } from "./number-table.ts";
import { state } from "./violation.ts";

const MAX_CALL_ID = 0xffffffff;

export class ClientCalls implements CallTable, ClientCallOwner {
  readonly #host: CallHost;
  readonly #onDraining: () => void;
  readonly #sealed = new NumberTable<ClientCall>();
  readonly #unsealed = new NumberTable<ClientCall>();
  /** Those that ended with OK and keep messages which the application has not read. */
  readonly #unread = new Set<ClientCall>();
  readonly #deadlines = new Deadlines();
  #lastOrder = 0;
  #lastId = 0;
  /** The highest id that got HEADERS, MESSAGE, END or REFUSED. */
  #highestAnswered = 0;
  #isDraining = false;
  #goneAway = false;

  constructor(host: CallHost, onDraining: () => void) {
    this.#host = host;
    this.#onDraining = onDraining;
  }

  get openCalls(): number {
    return this.#sealed.size + this.#unsealed.size;
  }

  get bulkCalls(): number {
    return this.#unsealed.size > 0 ? Infinity : countBulk(this.#sealed);
  }

  get nextDeadlineMs(): number {
    return this.#deadlines.nextMs;
  }

  /** Whether GOAWAY came, or the numbers are used up. */
  get isDraining(): boolean {
    return this.#isDraining || this.#lastId + this.#unsealed.size >= MAX_CALL_ID;
  }

  open(options: OpenOptions, events: ClientCallEvents): ClientCall {
    this.#lastOrder = (this.#lastOrder + 1) >>> 0;
    const call = new ClientCall(this.#host, this, this.#lastOrder, options, events);
    this.#unsealed.add(call.order, call);
    this.#deadlines.add(call.deadlineMs);
    this.#host.ready(call);
    return call;
  }

  receive(
    type: number,
    flags: number,
    callId: number,
    body: Uint8Array,
    recordBytes: number,
  ): void {
    if (type === GOAWAY) {
      this.#drain(readU32(body, 0));
      return;
    }
    if (callId > this.#lastId) throw state(`call ${callId} was never opened`);
    if (type !== CREDIT && callId > this.#highestAnswered) this.#highestAnswered = callId;
    // A frame for a call that is over is dropped.
    this.#sealed.get(callId)?.receive(type, flags, body, recordBytes);
  }

  tick(nowMs: number): void {
    this.#deadlines.tick(nowMs, () => this.#all());
  }

  endAll(error: ChannelError | undefined): void {
    this.#isDraining = true;
    for (const call of this.#unsealed.values()) call.finish({ kind: "unsealed" });
    for (const call of this.#sealed.values()) {
      call.finish(error === undefined ? { kind: "goaway" } : { kind: "lost", error });
    }
  }

  /** The time that close() gave is over. */
  endOverdue(): void {
    for (const call of this.#all()) call.cancel();
  }

  /** No call is opened any more: those that were not sealed go elsewhere. */
  stopOpening(): void {
    this.#isDraining = true;
    for (const call of this.#unsealed.values()) call.finish({ kind: "unsealed" });
  }

  shed(): boolean {
    return shedMost([...this.#sealed.values(), ...this.#unread]);
  }

  number(call: ClientCall): number {
    this.#unsealed.delete(call.order);
    this.#lastId += 1;
    this.#sealed.add(this.#lastId, call);
    return this.#lastId;
  }

  over(call: ClientCall): void {
    if (!this.#unsealed.delete(call.order) && !this.#sealed.delete(call.id))
      this.#unread.delete(call);
  }

  unread(call: ClientCall): void {
    this.#unread.add(call);
  }

  #all(): ClientCall[] {
    return [...this.#unsealed.values(), ...this.#sealed.values()];
  }

  #drain(last: number): void {
    if (this.#goneAway) throw state("GOAWAY came twice");
    if (last < this.#highestAnswered) {
      throw state(`GOAWAY ends at ${last}, but call ${this.#highestAnswered} was answered`);
    }
    this.#goneAway = true;
    const goaway: CallEnd = { kind: "goaway" };
    for (const call of this.#sealed.values()) if (call.id > last) call.finish(goaway);
    this.stopOpening();
    this.#onDraining();
  }
}
