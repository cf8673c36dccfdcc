import type { CancelReason, EnclaveCallEvents } from "../../channel/call-events.ts";
import type { ResponseHeader, Status } from "../../channel/call-message.ts";
import type { OpenCall } from "../../services/enclave/open-call.ts";

interface Queued {
  readonly bytes: Uint8Array;
  readonly compressed: boolean;
}

/**
 * A call without a session: plays the client by its methods in lower half, and keeps what the
 * enclave did. It enforces the order of use that a real call enforces.
 */
export class FakeCall implements OpenCall {
  readonly id = 1;
  readonly deadlineMs: number;
  /** What the enclave did, in order. */
  readonly did: string[] = [];
  readonly messages: Uint8Array[] = [];
  header: ResponseHeader | undefined;
  status: Status | undefined;
  refused: Status | undefined;
  released = 0;
  reads = 0;
  /** Whether `start` lets the call start. */
  admits = true;
  /** While true, messages are not taken. */
  clogged = false;
  #events: EnclaveCallEvents | undefined;
  readonly #queue: Queued[] = [];
  readonly #untaken: (() => void)[] = [];
  #wanted = 0;
  #started = false;
  #halfClosed: "no" | "queued" | "told" = "no";
  #over = false;

  constructor(deadlineMs: number = Infinity) {
    this.deadlineMs = deadlineMs;
  }

  get taken(): number {
    return this.messages.length - this.#untaken.length;
  }

  attach(events: EnclaveCallEvents): this {
    this.#events = events;
    return this;
  }

  // The client.

  deliver(bytes: Uint8Array, compressed = false): this {
    this.#queue.push({ bytes, compressed });
    this.#pump();
    return this;
  }

  clientEnd(): this {
    this.#halfClosed = "queued";
    this.#pump();
    return this;
  }

  clientCancel(reason: CancelReason = "cancelled"): this {
    if (this.#over) return this;
    this.#over = true;
    this.#events?.onCancel(reason);
    return this;
  }

  unclog(): void {
    this.clogged = false;
    for (const taken of this.#untaken.splice(0)) taken();
  }

  // What the enclave calls.

  read(): void {
    this.reads += 1;
    this.#wanted += 1;
    this.#pump();
  }

  start(needsHalfClose: boolean): boolean {
    this.did.push(`start(${needsHalfClose})`);
    if (!this.admits) this.#over = true;
    else this.#started = true;
    return this.admits;
  }

  sendHeaders(header: ResponseHeader): void {
    if (this.#over) return;
    this.#requireStart();
    if (this.header !== undefined) throw new TypeError("headers twice");
    this.did.push("headers");
    this.header = header;
  }

  sendMessage(message: Uint8Array, _compressed?: boolean, onTaken?: () => void): void {
    if (this.#over) {
      onTaken?.();
      return;
    }
    this.#requireStart();
    if (this.header === undefined) throw new TypeError("a message before the headers");
    this.did.push("message");
    this.messages.push(message);
    if (!this.clogged) onTaken?.();
    else this.#untaken.push(() => onTaken?.());
  }

  end(status: Status): void {
    if (this.#over) return;
    this.#requireStart();
    this.did.push("end");
    this.status = status;
    this.#over = true;
  }

  refuse(status: Status): void {
    if (this.#started) throw new TypeError("refused after its start");
    this.did.push("refuse");
    this.refused = status;
    this.#over = true;
  }

  retract(): boolean {
    if (this.#over || this.header !== undefined) return false;
    this.did.push("retract");
    this.#started = false;
    return true;
  }

  release(): void {
    this.released += 1;
  }

  #pump(): void {
    while (!this.#over && this.#wanted > 0 && this.#events !== undefined) {
      const next = this.#queue.shift();
      if (next === undefined) break;
      this.#wanted -= 1;
      this.#events.onMessage(next.bytes, next.compressed);
    }
    if (this.#over || this.#queue.length > 0 || this.#halfClosed !== "queued") return;
    this.#halfClosed = "told";
    this.#events?.onHalfClose();
  }

  #requireStart(): void {
    if (!this.#started) throw new TypeError("not started");
  }
}
