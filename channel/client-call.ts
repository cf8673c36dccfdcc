/** One call, at the client (docs/protocol.md §8, §9). */
import type { CallHost } from "./call-host.ts";
import type { CallEnd, ClientCallEvents } from "./call-events.ts";
import { parseResponseHeader, parseStatus, type Entry, type Status } from "./call-message.ts";
import { addCredit } from "./credit.ts";
import * as frame from "./frame.ts";
import { Inbox, type InboxEvents } from "./inbox.ts";
import { Outbox } from "./outbox.ts";
import type { RecordBuffer } from "./record-buffer.ts";
import type { Sender } from "./turns.ts";
import { ALERT, Violation, state } from "./violation.ts";

export interface OpenOptions {
  /** "/package.Service/Method". */
  readonly method: string;
  readonly metadata: readonly Entry[];
  /** On the driver's clock, in milliseconds. @default none */
  readonly deadlineMs?: number;
  /** The encoding of messages sent as compressed. @default identity */
  readonly encoding?: string;
  readonly authority?: string;
}

/** What a call needs of the table that it stands in. */
export interface ClientCallOwner {
  /** Numbers the call: its OPEN is being written. */
  number(call: ClientCall): number;
  /** Nothing of the call is on the wire any more; again, when it has ended. */
  over(call: ClientCall): void;
  /** The call is over on the wire, and waits until the application has read what came. */
  unread(call: ClientCall): void;
}

const GRPC_RESOURCE_EXHAUSTED = 8;
/** DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, UNIMPLEMENTED, UNAVAILABLE (docs/protocol.md §9). */
const REFUSED: ReadonlySet<number> = new Set([4, 8, 12, 14]);
const REFUSED_ELSEWHERE: ReadonlySet<number> = new Set([4, 8, 14]);

export class ClientCall implements Sender, InboxEvents {
  isQueued = false;
  readonly deadlineMs: number;
  /** Its place among the calls of the session, sealed or not. */
  readonly order: number;
  readonly #host: CallHost;
  readonly #owner: ClientCallOwner;
  readonly #events: ClientCallEvents;
  readonly #options: OpenOptions;
  readonly #inbox: Inbox;
  readonly #outbox: Outbox;
  #id = 0;
  #hasHeaders = false;
  #halfClose: "none" | "queued" | "sent" = "none";
  /** A sealed OK that waits until the application has read all. */
  #status: Status | undefined;
  #isOver = false;
  #heldBytes = 0;

  constructor(
    host: CallHost,
    owner: ClientCallOwner,
    order: number,
    options: OpenOptions,
    events: ClientCallEvents,
  ) {
    this.deadlineMs = options.deadlineMs ?? Infinity;
    this.#host = host;
    this.#owner = owner;
    this.order = order;
    this.#options = options;
    this.#events = events;
    this.#inbox = new Inbox(this, host);
    this.#outbox = new Outbox(host.sendCredit);
  }

  /** Its number in the session; 0 until OPEN is sealed. */
  get id(): number {
    return this.#id;
  }

  get queuedBytes(): number {
    return this.#outbox.queuedBytes;
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  get movedBytes(): number {
    return this.#inbox.movedBytes + this.#outbox.movedBytes;
  }

  get canSend(): boolean {
    if (this.#isOver) return false;
    if (this.#id === 0 || this.#outbox.canSend) return true;
    return this.#halfClose === "queued" && this.#outbox.isEmpty;
  }

  /**
   * Queues a message, whose bytes must not change any more. `onTaken` is called once: when the call
   * has room for the next one, or is over.
   */
  sendMessage(message: Uint8Array, compressed = false, onTaken?: () => void): void {
    if (this.#isOver || this.#status !== undefined || this.#halfClose !== "none") {
      onTaken?.();
      return;
    }
    this.#outbox.push(message, compressed, onTaken);
    this.#settle();
  }

  /** Says that no message follows. */
  halfClose(): void {
    if (this.#isOver || this.#halfClose !== "none") return;
    this.#halfClose = "queued";
    this.#settle();
  }

  /** Asks for one more message: one `onMessage` follows, or the end. */
  read(): void {
    if (this.#isOver) return;
    this.#inbox.read();
    this.#settle();
  }

  /** Ends the call here, and tells the enclave if it knows of the call. */
  cancel(): void {
    this.#abandon({ kind: "cancelled", sealed: this.#id !== 0 });
  }

  /** The deadline has passed. */
  expire(): void {
    this.#abandon({ kind: "deadline", sealed: this.#id !== 0 });
  }

  /** The call keeps too much memory. */
  shed(): void {
    const message = "the client keeps more received bytes than its budget allows";
    this.#abandonLocally(message);
  }

  /** The call ends with its session, or by its GOAWAY. */
  finish(end: CallEnd): void {
    // A sealed OK was received: what happened to the session since changes nothing.
    if (this.#isOver || this.#status !== undefined) return;
    this.#finish(end);
  }

  write(record: RecordBuffer, turnBytes: number): void {
    if (this.#isOver || (this.#id === 0 && !this.#writeOpen(record))) return;
    this.#host.afterSeal(this.#outbox.write(record, this.#id, turnBytes));
    if (this.#halfClose === "queued" && this.#outbox.isEmpty) {
      if (record.writeWords(frame.END, 0, this.#id, [])) this.#halfClose = "sent";
    }
    this.#recharge();
  }

  /** @throws Violation */
  receive(type: number, flags: number, body: Uint8Array, recordBytes: number): void {
    switch (type) {
      case frame.HEADERS:
        this.#receiveHeaders(body);
        return;
      case frame.MESSAGE:
        this.#receiveMessage(flags, body, recordBytes);
        return;
      case frame.CREDIT:
        this.#outbox.credit = addCredit(this.#outbox.credit, frame.readU32(body, 0));
        if (this.canSend) this.#host.ready(this);
        return;
      case frame.END:
        this.#receiveStatus(parseStatus(body, this.#host.texts));
        return;
      default:
        this.#receiveRefused(parseStatus(body, this.#host.texts), (flags & frame.ELSEWHERE) !== 0);
    }
  }

  onMessage(message: Uint8Array, compressed: boolean): void {
    this.#events.onMessage(message, compressed);
  }

  onDrained(): void {
    const status = this.#status;
    if (status !== undefined && !this.#isOver) this.#finish({ kind: "status", status });
  }

  #writeOpen(record: RecordBuffer): boolean {
    const { method, metadata, encoding = "", authority = "" } = this.#options;
    const { nowMs, startMs } = this.#host;
    if (this.deadlineMs <= nowMs) {
      this.expire();
      return false;
    }
    const timeoutMs =
      this.deadlineMs === Infinity ? 0 : Math.max(1, Math.ceil(this.deadlineMs - nowMs));
    const sentMs = Math.floor(nowMs - startMs);
    const header = { method, metadata, sentMs, timeoutMs, encoding, authority };
    if (!record.canHold(header)) return false;
    this.#id = this.#owner.number(this);
    record.writeHeader(frame.OPEN, 0, this.#id, header);
    this.#grant();
    return true;
  }

  #receiveHeaders(body: Uint8Array): void {
    if (this.#hasHeaders) throw state("HEADERS came twice");
    this.#hasHeaders = true;
    this.#events.onHeaders(parseResponseHeader(body, this.#host.texts));
  }

  #receiveMessage(flags: number, body: Uint8Array, recordBytes: number): void {
    if (!this.#hasHeaders) throw state("MESSAGE came before HEADERS");
    const taken = this.#inbox.accept(flags, body, recordBytes);
    if (taken === "too-large") {
      this.#abandonLocally(
        `a message is longer than the ${this.#host.maxReceiveMessageBytes} bytes that this client accepts`,
      );
    } else this.#settle();
  }

  #receiveStatus(status: Status): void {
    if (status.code !== 0) {
      this.#finish({ kind: "status", status });
      return;
    }
    // Before the call leaves its table: a session that ends for this still has to end the call.
    this.#inbox.requireEnd();
    this.#owner.over(this);
    this.#status = status;
    this.#inbox.end();
    if (!this.#isOver) this.#owner.unread(this);
    for (const taken of this.#outbox.drop()) taken();
  }

  #receiveRefused(status: Status, elsewhere: boolean): void {
    if (this.#hasHeaders) throw state("REFUSED came after HEADERS");
    if (!(elsewhere ? REFUSED_ELSEWHERE : REFUSED).has(status.code)) {
      throw new Violation(ALERT.malformed, "malformed-frame", `REFUSED has status ${status.code}`);
    }
    this.#finish({ kind: "refused", status, elsewhere });
  }

  #abandonLocally(message: string): void {
    const sealed = this.#id !== 0;
    this.#abandon({ kind: "local", code: GRPC_RESOURCE_EXHAUSTED, message, sealed });
  }

  #abandon(end: CallEnd): void {
    if (this.#isOver) return;
    this.#isOver = true;
    if (this.#id !== 0 && this.#status === undefined) {
      this.#host.control(frame.CANCEL, this.#id, []);
    }
    this.#finish(end);
  }

  #finish(end: CallEnd): void {
    this.#isOver = true;
    this.#inbox.drop();
    const waiting = this.#outbox.drop();
    this.#recharge();
    this.#owner.over(this);
    this.#events.onEnd(end);
    for (const taken of waiting) taken();
  }

  /** After anything that the application or the peer did: queue what may leave, grant what is due. */
  #settle(): void {
    if (this.#isOver) return;
    if (this.canSend) this.#host.ready(this);
    this.#grant();
    this.#recharge();
  }

  /** The enclave must know of the call before it can be granted anything. */
  #grant(): void {
    if (this.#id === 0) return;
    const grant = this.#inbox.grant(this.#host);
    if (grant > 0) this.#host.control(frame.CREDIT, this.#id, [grant]);
  }

  /** What the application queues is its own, and bounded for each call (§8.5). */
  #recharge(): void {
    const held = this.#inbox.heldBytes;
    if (held === this.#heldBytes) return;
    this.#host.charge(held - this.#heldBytes);
    this.#heldBytes = held;
  }
}
