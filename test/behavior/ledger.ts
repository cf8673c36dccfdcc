/** What the handlers of the behaviour service saw and did, for the tests to ask. */
import { EventEmitter, once } from "node:events";
import type * as grpc from "@grpc/grpc-js";

/** The metadata key by which a test recognizes its own call. */
export const CASE_KEY = "behavior-case";
/** The metadata key that chooses what the handler does. */
export const ACTION_KEY = "behavior-action";

/** What all four call objects of grpc-js share. */
export type HandlerCall = Pick<
  grpc.ServerUnaryCall<unknown, unknown>,
  "metadata" | "cancelled" | "getDeadline" | "getPath" | "getHost" | "getPeer"
> & { on(event: "cancelled", listener: () => void): unknown };

/** One run of a handler. */
export class SeenCall {
  readonly metadata: grpc.Metadata;
  /** Milliseconds since 1970; `Infinity` without a deadline. */
  readonly deadlineMs: number;
  readonly path: string;
  readonly host: string;
  readonly peer: string;
  /** Messages that the handler read. */
  received = 0;
  /** Messages that the handler wrote, the last of which may wait for room. */
  sent = 0;
  /** The call object, as the handler has it. */
  readonly call: HandlerCall;
  readonly #marks = new Set<string>();
  readonly #emitter = new EventEmitter();

  constructor(call: HandlerCall) {
    this.call = call;
    this.metadata = call.metadata;
    this.deadlineMs = Number(call.getDeadline());
    this.path = call.getPath();
    this.host = call.getHost();
    this.peer = call.getPeer();
    call.on("cancelled", () => this.mark("cancelled"));
  }

  get cancelled(): boolean {
    return this.call.cancelled;
  }

  /** Says that something happened; what happened stays true. */
  mark(what: string): void {
    this.#marks.add(what);
    this.#emitter.emit(what);
  }

  marked(what: string): boolean {
    return this.#marks.has(what);
  }

  /** Resolves once it was marked, at once when it was before. */
  async when(what: string): Promise<void> {
    if (!this.#marks.has(what)) await once(this.#emitter, what);
  }

  /** Lets a handler that holds go on. */
  release(): void {
    this.mark("released");
  }
}

/** Every run of a handler, by the case that asked for it. */
export class Ledger {
  readonly #runs = new Map<string, SeenCall[]>();
  readonly #emitter = new EventEmitter().setMaxListeners(0);

  /** Called by a handler, first of all. */
  enter(call: HandlerCall): SeenCall {
    const seen = new SeenCall(call);
    const id = String(call.metadata.get(CASE_KEY)[0]);
    this.#runs.set(id, [...this.runs(id), seen]);
    this.#emitter.emit(id);
    return seen;
  }

  runs(id: string): readonly SeenCall[] {
    return this.#runs.get(id) ?? [];
  }

  /** The first run for this case; waits until there is one. */
  async call(id: string): Promise<SeenCall> {
    if (this.runs(id).length === 0) await once(this.#emitter, id);
    const [seen] = this.runs(id);
    if (!seen) throw new Error(`no handler ran for ${id}`);
    return seen;
  }
}
