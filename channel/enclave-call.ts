/** One call, in the enclave (docs/protocol.md §8, §9). */
import type { CallHost } from "./call-host.ts";
import type { CancelReason, EnclaveCallEvents } from "./call-events.ts";
import { fits, type RequestHeader, type ResponseHeader, type Status } from "./call-message.ts";
import { addCredit } from "./credit.ts";
import * as frame from "./frame.ts";
import { Inbox, type InboxEvents } from "./inbox.ts";
import { Outbox } from "./outbox.ts";
import type { RecordBuffer } from "./record-buffer.ts";
import type { Sender } from "./turns.ts";

/** What a call needs of the table that it stands in. */
export interface EnclaveCallOwner {
  readonly maxDelayMs: number;
  /** Nothing of the call is on the wire any more. */
  over(call: EnclaveCall): void;
  /** The call is over and its handler has returned: it stops counting against the limit. */
  uncount(): void;
}

const EMPTY_HEADER: ResponseHeader = { metadata: [], encoding: "" };
const GRPC = {
  deadlineExceeded: 4,
  resourceExhausted: 8,
  internal: 13,
  unavailable: 14,
} as const;

export class EnclaveCall implements Sender, InboxEvents {
  isQueued = false;
  readonly id: number;
  /** On the driver's clock; Infinity: none. */
  readonly deadlineMs: number;
  readonly #host: CallHost;
  readonly #owner: EnclaveCallOwner;
  readonly #sentMs: number;
  readonly #timeoutMs: number;
  /** What the request's metadata takes, while the call is open and was not ended from outside. */
  #headerBytes: number;
  readonly #inbox: Inbox;
  readonly #outbox: Outbox;
  #events: EnclaveCallEvents | undefined;
  #isStarted = false;
  #isReleased = false;
  #header: ResponseHeader | undefined;
  #headerIsSent = false;
  /** The END that waits behind the messages. */
  #status: Status | undefined;
  #isOver = false;
  #heldBytes = 0;

  /** `headerBytes`: how long the OPEN was. */
  constructor(
    host: CallHost,
    owner: EnclaveCallOwner,
    id: number,
    header: RequestHeader,
    headerBytes: number,
  ) {
    this.id = id;
    this.#headerBytes = headerBytes;
    this.deadlineMs =
      header.timeoutMs === 0 ? Infinity : host.startMs + header.sentMs + header.timeoutMs;
    this.#host = host;
    this.#owner = owner;
    this.#sentMs = host.startMs + header.sentMs;
    this.#timeoutMs = header.timeoutMs;
    this.#inbox = new Inbox(this, host);
    this.#outbox = new Outbox(host.sendCredit);
  }

  /** Who is told of the call from now on; once, by the session. */
  attach(events: EnclaveCallEvents): void {
    this.#events = events;
    this.#recharge();
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

  get isOver(): boolean {
    return this.#isOver;
  }

  get canSend(): boolean {
    if (this.#isOver) return false;
    if (this.#header !== undefined && !this.#headerIsSent) return true;
    return this.#outbox.canSend || (this.#status !== undefined && this.#outbox.isEmpty);
  }

  /** Whether OPEN was on its way for too long, or beyond its deadline (§9, delay test). */
  isDelayed(testDelay: boolean, nowMs: number): boolean {
    const delayMs = Math.max(0, nowMs - this.#sentMs);
    if (this.#timeoutMs !== 0 && delayMs >= this.#timeoutMs) return true;
    return testDelay && delayMs > this.#owner.maxDelayMs;
  }

  /**
   * The synchronous step in which the handler starts, at `nowMs` of the driver's clock: call it, and
   * start in the same turn. False when the call came too late, or is over; it must not run then.
   */
  start(needsHalfClose: boolean, nowMs: number): boolean {
    if (this.#isOver) return false;
    if (this.isDelayed(needsHalfClose, nowMs)) {
      this.refuse(status(GRPC.deadlineExceeded, "the call came too late to start"), true);
      return false;
    }
    this.#isStarted = true;
    return true;
  }

  /** Asks for one more message: one `onMessage` follows, or the half-close, or the end. */
  read(): void {
    if (this.#isOver) return;
    this.#inbox.read();
    this.#settle();
  }

  /** At most once has effect, and only before the first message. */
  sendHeaders(header: ResponseHeader): void {
    if (this.#isOver || this.#status !== undefined || this.#header !== undefined) return;
    this.#requireStart();
    if (fits(header)) this.#header = header;
    else this.end(status(GRPC.internal, "the response metadata is too large"));
    this.#settle();
  }

  /**
   * Queues a message, whose bytes must not change any more. `onTaken` is called once: when the call
   * has room for the next one, or is over.
   */
  sendMessage(message: Uint8Array, compressed = false, onTaken?: () => void): void {
    if (this.#isOver || this.#status !== undefined) {
      onTaken?.();
      return;
    }
    this.#requireStart();
    this.#header ??= EMPTY_HEADER;
    this.#outbox.push(message, compressed, onTaken);
    this.#settle();
  }

  /** Ends the call with its status, behind all messages. */
  end(result: Status): void {
    if (this.#isOver || this.#status !== undefined) return;
    this.#requireStart();
    this.#status = fits(result) ? result : status(GRPC.internal, "the status is too large");
    this.#settle();
  }

  /** Says that the call has not run and never will; only before `start`. */
  refuse(result: Status, elsewhere = false): void {
    if (!this.#isOver) this.#refuse(result, elsewhere);
  }

  /**
   * Takes `start` back, for a handler elsewhere of which it is certain that it has not seen the call
   * and never will. False when the call is over or was answered; otherwise `refuse` is due at once.
   */
  retract(): boolean {
    if (this.#isOver || this.#status !== undefined || this.#header !== undefined) return false;
    this.#isStarted = false;
    return true;
  }

  /** The handler has returned. */
  release(): void {
    if (this.#isReleased) return;
    this.#isReleased = true;
    if (this.#isOver) this.#owner.uncount();
  }

  /** The deadline has passed. */
  expire(): void {
    this.#terminate(status(GRPC.deadlineExceeded, "the deadline has passed"), false, "deadline");
  }

  /** The call keeps too much memory. */
  shed(): void {
    const result = status(GRPC.resourceExhausted, "the enclave's memory budget is spent");
    this.#terminate(result, false, "budget");
  }

  /** The session is too old. */
  age(): void {
    this.#terminate(status(GRPC.unavailable, "session age"), true, "age");
  }

  /** The client cancelled, or the session is lost: nothing can be said any more. */
  abandon(reason: "cancelled" | "truncated"): void {
    if (this.#isOver) return;
    this.#finish(this.#status === undefined ? reason : undefined);
  }

  write(record: RecordBuffer, turnBytes: number): void {
    if (this.#isOver) return;
    if (this.#header !== undefined && !this.#headerIsSent) {
      if (!record.writeHeader(frame.HEADERS, 0, this.id, this.#header)) return;
      this.#headerIsSent = true;
    }
    this.#host.afterSeal(this.#outbox.write(record, this.id, turnBytes));
    if (this.#status !== undefined && this.#outbox.isEmpty) {
      if (record.writeHeader(frame.END, 0, this.id, this.#status)) this.#finish();
    }
    this.#recharge();
  }

  /** @throws Violation */
  receive(type: number, flags: number, body: Uint8Array, recordBytes: number): void {
    switch (type) {
      case frame.MESSAGE:
        this.#receiveMessage(flags, body, recordBytes);
        return;
      case frame.CREDIT:
        this.#outbox.credit = addCredit(this.#outbox.credit, frame.readU32(body, 0));
        if (this.canSend) this.#host.ready(this);
        return;
      case frame.END:
        this.#inbox.end();
        return;
      default:
        this.abandon("cancelled");
    }
  }

  onMessage(message: Uint8Array, compressed: boolean): void {
    this.#events?.onMessage(message, compressed);
  }

  onDrained(): void {
    this.#events?.onHalfClose();
  }

  #receiveMessage(flags: number, body: Uint8Array, recordBytes: number): void {
    const taken = this.#inbox.accept(flags, body, recordBytes);
    if (taken === "too-large") {
      const limit = this.#host.maxReceiveMessageBytes;
      const text = `a message is longer than the ${limit} bytes that are accepted`;
      this.#terminate(status(GRPC.resourceExhausted, text), false, "too-large");
    } else this.#settle();
  }

  /** Ends the call from outside its handler: REFUSED if that never started, otherwise END. */
  #terminate(result: Status, elsewhere: boolean, reason: CancelReason): void {
    if (this.#isOver) return;
    if (!this.#isStarted) {
      this.#refuse(result, elsewhere, reason);
      return;
    }
    const untold = this.#status === undefined;
    this.#status = result;
    // Nothing more can be gained here: what looks for memory must look elsewhere.
    this.#headerBytes = 0;
    this.#inbox.drop();
    const waiting = this.#outbox.drop();
    this.#settle();
    if (untold) this.#events?.onCancel(reason);
    for (const taken of waiting) taken();
  }

  #refuse(result: Status, elsewhere: boolean, reason?: CancelReason): void {
    // Invariant: REFUSED is said of no call whose handler started; otherwise it runs twice.
    if (this.#isStarted) throw new TypeError("a call that started cannot be refused");
    this.#finish(reason);
    const said = fits(result) ? result : status(result.code, "the reason is too large");
    this.#host.control(frame.REFUSED, this.id, said, elsewhere ? frame.ELSEWHERE : 0);
  }

  /** With `reason`, the handler is told, before any sender that waits is let go on. */
  #finish(reason?: CancelReason): void {
    this.#isOver = true;
    this.#inbox.drop();
    const waiting = this.#outbox.drop();
    this.#recharge();
    this.#owner.over(this);
    if (this.#isReleased || !this.#isStarted) this.#owner.uncount();
    // A call that never started has no handler that could release it.
    if (!this.#isStarted) this.#isReleased = true;
    if (reason !== undefined) this.#events?.onCancel(reason);
    for (const taken of waiting) taken();
  }

  #requireStart(): void {
    if (!this.#isStarted) throw new TypeError("the call has not started");
  }

  /** After anything that the application or the peer did: queue what may leave, grant what is due. */
  #settle(): void {
    if (this.#isOver) return;
    if (this.canSend) this.#host.ready(this);
    const grant = this.#inbox.grant(this.#host);
    if (grant > 0) this.#host.control(frame.CREDIT, this.id, [grant]);
    this.#recharge();
  }

  #recharge(): void {
    const queued = this.#inbox.heldBytes + this.#outbox.queuedBytes;
    const held = this.#isOver ? 0 : this.#headerBytes + queued;
    if (held === this.#heldBytes) return;
    this.#host.charge(held - this.#heldBytes);
    this.#heldBytes = held;
  }
}

function status(code: number, message: string): Status {
  return { code, message, trailers: [] };
}
