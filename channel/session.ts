/**
 * One session after its handshake: bytes in, bytes out, events for each call (docs/protocol.md §7
 * to §11). It has no socket, no timer and no clock: a driver hands it records and the time, takes
 * records while the outer stream has room, and calls `tick` when `nextDeadlineMs` is reached.
 */
import type { VerifiedEvidence } from "../attestation/verified-evidence.ts";
import type { CryptoBackend } from "../crypto/backend.ts";
import { Account } from "./budget.ts";
import type { CallHost } from "./call-host.ts";
import type { ClientCallEvents } from "./call-events.ts";
import { fits } from "./call-message.ts";
import { ClientCalls } from "./client-calls.ts";
import type { ClientCall, OpenOptions } from "./client-call.ts";
import { EnclaveCalls } from "./enclave-calls.ts";
import { ChannelError } from "./errors.ts";
import type { Established } from "./established.ts";
import * as frame from "./frame.ts";
import { exportKey } from "./key-schedule.ts";
import { KnownTexts } from "./known-texts.ts";
import { DRAIN_MS, END_MS, Lifetime } from "./lifetime.ts";
import { Liveness } from "./liveness.ts";
import { Outbound } from "./outbound.ts";
import { Opener, Sealer, type DirectionOptions } from "./record.ts";
import type { SessionEvents, SessionOptions } from "./session-options.ts";
import { ALERT, endingOf, type AlertCode } from "./violation.ts";

const DEFAULT_MAX_MESSAGE_BYTES = 4 * 1024 * 1024;

/** After a small call beside others, another one is expected for so long. */
const SHARED_MS = 250;

type State = "open" | "closing" | "closed";

export class Session {
  /** What the peer showed in the handshake. */
  readonly evidence: VerifiedEvidence | undefined;
  readonly #role: frame.Role;
  readonly #backend: CryptoBackend;
  readonly #events: SessionEvents;
  readonly #established: Established;
  readonly #calls: ClientCalls | EnclaveCalls;
  readonly #outbound: Outbound;
  readonly #opener: Opener;
  readonly #lifetime: Lifetime;
  readonly #liveness: Liveness;
  readonly #account: Account;
  readonly #host: CallHost & { nowMs: number };
  #state: State = "open";
  /** When what is still open is ended: close()'s grace, or patience after GOAWAY or the own `end`. */
  #endAtMs = Infinity;
  #renewalIsDue = false;
  /** A call was opened while none was: the peer's silence counts from when it is sealed. */
  #opensFirst = false;
  #endIsSealed = false;
  #endCame = false;
  #alert: AlertCode | undefined;
  #sharedUntilMs = -Infinity;
  /** Of the record whose frames are being taken in. */
  #contentBytes = 0;
  #unread: { readonly frames: Uint8Array; readonly isEnd: boolean } | undefined;
  readonly #visit: frame.FrameVisitor = (type, flags, callId, body) =>
    this.#receiveFrame(type, flags, callId, body);

  constructor(options: SessionOptions) {
    const { backend, established, nowMs } = options;
    this.evidence = established.evidence;
    this.#role = options.role;
    this.#backend = backend;
    this.#events = options.events;
    this.#established = established;
    this.#account = new Account(options.budget, () => this.#calls.shed());
    const jitter = (backend.randomBytes(1)[0] ?? 0) / 256;
    this.#lifetime = new Lifetime(established.terms, nowMs, jitter);
    const limits: Partial<DirectionOptions> = {
      ...(options.keyLimitBytes === undefined ? {} : { keyLimitBytes: options.keyLimitBytes }),
      ...(options.keyLimitMs === undefined ? {} : { keyLimitMs: options.keyLimitMs }),
    };
    const direction = { backend, suite: established.suite, nowMs, ...limits };
    const padding = options.padding ?? "padme";
    const secret = established.sendSecret;
    this.#outbound = new Outbound(new Sealer({ ...direction, secret, padding }));
    this.#liveness = new Liveness(this.#lifetime, this.#outbound.control);
    this.#opener = new Opener({ ...direction, secret: established.receiveSecret });
    this.#host = this.#createHost(
      nowMs,
      options.maxReceiveMessageBytes ?? DEFAULT_MAX_MESSAGE_BYTES,
    );
    this.#calls =
      options.role === "client"
        ? new ClientCalls(this.#host, () => this.#drained())
        : new EnclaveCalls(
            this.#host,
            established.terms,
            () => this.#account.isTight,
            options.onCall,
          );
  }

  /** Calls that are open, those that wait for their OPEN to be sealed included. */
  get openCalls(): number {
    return this.#calls.openCalls;
  }

  /** Most calls that the enclave takes at once on this session. */
  get maxConcurrentCalls(): number {
    return this.#established.terms.maxConcurrentCalls;
  }

  get isClosed(): boolean {
    return this.#state === "closed";
  }

  /** Client: whether no call can be opened any more: GOAWAY came, or the session closes. */
  get isDraining(): boolean {
    return this.#state !== "open" || this.#calls.isDraining;
  }

  /** Client: whether a call may be opened: young, not draining, numbers left. */
  canOpen(nowMs: number): boolean {
    if (this.#role !== "client" || this.isDraining || this.#renewalIsDue) return false;
    return this.#calls.openCalls > 0
      ? nowMs < this.#lifetime.renewMs
      : this.#lifetime.isFresh(nowMs);
  }

  /**
   * Client: opens a call. Its frames leave with the records that are taken from now on.
   *
   * @throws ChannelError `draining` when the session takes no call any more.
   * @throws RangeError when the metadata does not fit (64 KiB).
   */
  open(options: OpenOptions, events: ClientCallEvents): ClientCall {
    if (!(this.#calls instanceof ClientCalls)) throw new TypeError("only a client opens calls");
    if (this.isDraining) {
      throw new ChannelError("draining", "the session takes no more calls");
    }
    const { method, metadata, encoding = "", authority = "" } = options;
    const largest = Number.MAX_SAFE_INTEGER;
    if (!fits({ method, metadata, encoding, authority, sentMs: largest, timeoutMs: largest })) {
      throw new RangeError("method and metadata take more than 64 KiB");
    }
    if (this.#calls.openCalls === 0) this.#opensFirst = true;
    return this.#calls.open(options, events);
  }

  /**
   * Takes one record of the peer, and so many of its frames at once; `takeIn` takes the others. Never
   * throws: a bad record ends the session.
   */
  receive(bytes: Uint8Array, nowMs: number, maxFrames: number = Infinity): void {
    this.takeIn(nowMs, Infinity);
    if (this.#state === "closed") return;
    try {
      const { type, content } = this.#opener.open(bytes, nowMs);
      this.#lifetime.received(nowMs, content.length > 0);
      if (type === "alert") {
        const code = ((content[0] ?? 0) << 8) | (content[1] ?? 0);
        throw new ChannelError("peer-alert", `the peer ended the session with alert ${code}`);
      }
      this.#contentBytes = content.length;
      this.#unread = { frames: content, isEnd: type === "end" };
    } catch (error) {
      this.#fail(error);
    }
    this.takeIn(nowMs, maxFrames);
  }

  /** Whether frames of a record wait for `takeIn`; anything else that comes lets them in before. */
  get hasUnread(): boolean {
    return this.#unread !== undefined;
  }

  /** Takes in so many more frames of a record that came. Never throws. */
  takeIn(nowMs: number, maxFrames: number): void {
    this.#host.nowMs = nowMs;
    if (this.#unread === undefined) return;
    const { frames, isEnd } = this.#unread;
    this.#unread = undefined;
    const sender = this.#role === "client" ? "enclave" : "client";
    try {
      const rest = frame.visitFrames(frames, sender, this.#visit, maxFrames);
      if (rest.length === 0) {
        if (isEnd) this.#peerEnded();
      } else if (!this.#isClosed()) this.#unread = { frames: rest, isEnd };
    } catch (error) {
      this.#fail(error);
    }
    this.#account.relieve();
    this.#maybeEnd();
    if (this.hasOutput()) this.#events.onOutput();
  }

  /** The outer stream ended or was lost. Without `end` before it, that is a truncation. */
  receiveStreamEnd(nowMs: number): void {
    this.takeIn(nowMs, Infinity);
    if (this.#state === "closed") return;
    if (this.#endCame) {
      this.#closed(undefined);
      return;
    }
    this.#fail(new ChannelError("truncated", "the outer stream ended before the session did"));
  }

  /** The outer stream carried something that is no record: it is of no use any more. */
  receiveInvalid(error: ChannelError, nowMs: number): void {
    this.takeIn(nowMs, Infinity);
    if (this.#state !== "closed") this.#closed(error);
  }

  /** Whether `takeRecord` may have something. */
  hasOutput(): boolean {
    if (this.#alert !== undefined || this.#endIsDue()) return true;
    if (this.#state === "closed" || this.#endIsSealed) return false;
    return !this.#outbound.isEmpty;
  }

  /** The next record to send, behind `RECORD_HEADROOM` free bytes; `undefined` for nothing. */
  takeRecord(nowMs: number): Uint8Array | undefined {
    this.#host.nowMs = nowMs;
    if (this.#alert !== undefined) return this.#takeAlert(this.#alert);
    const sealed = this.#take(nowMs);
    this.#outbound.runAfterSeal();
    this.#maybeEnd();
    return sealed;
  }

  /** When `tick` must be called, or earlier; Infinity: not until something else happens. */
  nextDeadlineMs(): number {
    if (this.#state === "closed") return Infinity;
    const hasCalls = this.#calls.openCalls > 0;
    let next = Math.min(this.#calls.nextDeadlineMs, this.#endAtMs);
    if (!this.#endIsSealed) next = Math.min(next, this.#outbound.keyUpdateAtMs);
    if (hasCalls) next = Math.min(next, this.#lifetime.silenceMs());
    if (this.#state !== "open") return next;
    if (this.#role === "enclave") return Math.min(next, this.#lifetime.expiryMs(hasCalls));
    return this.#renewalIsDue ? next : Math.min(next, this.#lifetime.renewMs);
  }

  /** Lets time have its effects. */
  tick(nowMs: number): void {
    this.takeIn(nowMs, Infinity);
    if (this.#state === "closed") return;
    this.#calls.tick(nowMs);
    if (this.#calls.openCalls > 0) this.#watch(nowMs);
    if (this.#isClosed()) return;
    if (this.#role === "client" && !this.#renewalIsDue && nowMs >= this.#lifetime.renewMs) {
      this.#drained();
    }
    if (
      this.#role === "enclave" &&
      this.#state === "open" &&
      nowMs >= this.#lifetime.expiryMs(this.#calls.openCalls > 0)
    ) {
      this.goAway(nowMs, DRAIN_MS);
    }
    if (nowMs >= this.#endAtMs) {
      this.#endAtMs = Infinity;
      if (this.#endIsSealed) {
        this.#fail(new ChannelError("truncated", "the peer did not end the session"));
        return;
      }
      this.#calls.endOverdue();
    }
    if (!this.#endIsSealed) this.#outbound.tick(nowMs);
    this.#maybeEnd();
    if (this.hasOutput()) this.#events.onOutput();
  }

  /**
   * Enclave: takes no more calls, and ends when those that run are over, at the latest after
   * `graceMs`. Again, it can only shorten that time.
   */
  goAway(nowMs: number, graceMs: number): void {
    this.#host.nowMs = nowMs;
    if (this.#state === "closed" || this.#role !== "enclave") return;
    this.#endAtMs = Math.min(this.#endAtMs, nowMs + graceMs);
    if (this.#state === "open") {
      this.#state = "closing";
      this.#host.control(frame.GOAWAY, 0, [0]);
    } else {
      // There is none, but whoever takes it also asks for the next deadline.
      this.#events.onOutput();
    }
    this.#maybeEnd();
  }

  /** Client: opens no more calls, and ends when those that run are over, at the latest after `graceMs`. */
  close(nowMs: number, graceMs: number): void {
    this.#host.nowMs = nowMs;
    if (this.#state === "closed" || !(this.#calls instanceof ClientCalls)) return;
    this.#state = "closing";
    this.#endAtMs = Math.min(this.#endAtMs, nowMs + graceMs);
    this.#calls.stopOpening();
    if (graceMs <= 0) this.tick(nowMs);
    this.#maybeEnd();
  }

  /** Ends the session at once, because this side's policy no longer admits the peer. */
  abort(): void {
    if (this.#state === "closed") return;
    this.#alert = ALERT.policy;
    this.#closed(new ChannelError("session-expired", "the policy no longer admits the peer"));
  }

  /**
   * A key for the application, which both ends can derive (docs/protocol.md §2).
   *
   * @throws ChannelError `session-expired` once the session is closed: its secret is erased.
   */
  exporter(label: Uint8Array, context: Uint8Array, length: number): Uint8Array {
    // Invariant: no key is derived from the zeros that the secret was overwritten with.
    if (this.isClosed) throw new ChannelError("session-expired", "the session is closed");
    return exportKey(this.#backend, this.#established.exporterSecret, label, context, length);
  }

  #take(nowMs: number): Uint8Array | undefined {
    let frameBytes = 0;
    if (this.#state !== "closed" && !this.#endIsSealed) {
      if (this.#opensFirst) this.#lifetime.callsOpened(nowMs);
      this.#opensFirst = false;
      frameBytes = this.#outbound.fill(() =>
        this.#calls instanceof EnclaveCalls ? this.#calls.fixLast() : 0,
      );
    }
    const isEnd = this.#endIsDue();
    if ((this.#isClosed() || this.#endIsSealed) && !isEnd) return undefined;
    // A key update alone is no sign that the session is in use.
    if (frameBytes > 0) this.#lifetime.sent(nowMs);
    try {
      const sealed = this.#outbound.seal(frameBytes, isEnd, nowMs);
      if (isEnd) this.#ended();
      return sealed;
    } catch (error) {
      this.#fail(error);
      return undefined;
    }
  }

  #watch(nowMs: number): void {
    try {
      if (this.#liveness.watch(nowMs)) return;
      this.#fail(new ChannelError("truncated", "the peer answers no more"));
    } catch (error) {
      // There was no room for PING among what the peer leaves unread.
      this.#fail(error);
    }
  }

  #receiveFrame(type: number, flags: number, callId: number, body: Uint8Array): void {
    if (this.#isClosed()) return;
    if (type === frame.PING) this.#liveness.receivePing(body);
    else if (type === frame.PONG) this.#liveness.receivePong(this.#host.nowMs);
    else this.#calls.receive(type, flags, callId, body, this.#contentBytes);
  }

  #drained(): void {
    if (this.#renewalIsDue) return;
    this.#renewalIsDue = true;
    this.#events.onDraining?.();
  }

  #peerEnded(): void {
    this.#endCame = true;
    if (this.#isClosed()) return;
    if (this.#calls instanceof ClientCalls && this.#calls.openCalls > 0) {
      this.#calls.stopOpening();
      this.#calls.endAll(new ChannelError("truncated", "the enclave ended with calls open"));
    }
    this.#calls.endAll(undefined);
    this.#state = "closing";
    if (this.#endIsSealed) this.#closed(undefined);
  }

  /** `end` is due when it is wanted, or came, and nothing is left to say. */
  #endIsDue(): boolean {
    if (this.#endIsSealed) return false;
    // The peer's end and then its stream's end came before ours was taken: it is still owed.
    if (this.#state === "closed") return this.#endCame && !this.#outbound.isDestroyed;
    return (
      this.#state === "closing" && this.#calls.openCalls === 0 && this.#outbound.control.isEmpty
    );
  }

  #maybeEnd(): void {
    const { isDraining, openCalls } = this.#calls;
    if (this.#state === "open" && isDraining && openCalls === 0) this.#state = "closing";
    if (this.#endIsDue()) this.#events.onOutput();
  }

  #ended(): void {
    this.#endIsSealed = true;
    if (this.#state === "closed") this.#outbound.destroy();
    else if (this.#endCame) this.#closed(undefined);
    else this.#endAtMs = this.#host.nowMs + END_MS;
  }

  #fail(error: unknown): void {
    if (this.#isClosed()) return;
    const ending = endingOf(error);
    this.#alert = ending.alert;
    this.#closed(ending.error);
  }

  #closed(error: ChannelError | undefined): void {
    this.#state = "closed";
    this.#unread = undefined;
    this.#outbound.clear();
    this.#calls.endAll(error);
    this.#opener.destroy();
    this.#established.exporterSecret.fill(0);
    if (this.#alert !== undefined || this.#endIsDue()) this.#events.onOutput();
    else this.#outbound.destroy();
    this.#account.close();
    this.#events.onClosed(error);
  }

  #takeAlert(code: AlertCode): Uint8Array | undefined {
    this.#alert = undefined;
    try {
      return this.#outbound.sealAlert(code);
    } catch {
      // The key is too old for another record: then there is no alert.
      return undefined;
    }
  }

  #bulkCalls(): number {
    const { nowMs } = this.#host;
    const bulkCalls = this.#calls.openCalls > 1 ? this.#calls.bulkCalls : 1;
    if (bulkCalls === Infinity) this.#sharedUntilMs = nowMs + SHARED_MS;
    return nowMs < this.#sharedUntilMs ? Infinity : bulkCalls;
  }

  /** Asked again after a callback, which may have closed the session. */
  #isClosed(): boolean {
    return this.#state === "closed";
  }

  #createHost(nowMs: number, maxReceiveMessageBytes: number): CallHost & { nowMs: number } {
    const liveness = this.#liveness;
    return {
      nowMs,
      startMs: nowMs,
      get distanceMs() {
        return liveness.distanceMs;
      },
      bulkCalls: () => this.#bulkCalls(),
      sendCredit: this.#established.sendCredit,
      receiveCredit: this.#established.receiveCredit,
      maxReceiveMessageBytes,
      memory: this.#backend,
      texts: new KnownTexts(),
      ready: (call) => {
        if (this.#isClosed()) return;
        this.#outbound.turns.add(call);
        this.#events.onOutput();
      },
      control: (type, callId, body, flags) => {
        if (this.#isClosed()) return;
        try {
          this.#outbound.control.push(type, callId, body, flags);
          if (type === frame.CREDIT) liveness.measure(this.#host.nowMs);
        } catch (error) {
          this.#fail(error);
          return;
        }
        this.#events.onOutput();
      },
      afterSeal: (callbacks) => this.#outbound.afterSeal(callbacks),
      charge: (bytes) => this.#account.charge(bytes),
    };
  }
}
