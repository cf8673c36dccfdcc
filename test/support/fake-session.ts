/** Sessions that do nothing by themselves: a test ends each call as it likes, and sees what was sent. */
import type { VerifiedEvidence } from "../../attestation/verified-evidence.ts";
import type { CallEnd, ClientCallEvents } from "../../channel/call-events.ts";
import { ChannelError } from "../../channel/errors.ts";
import type {
  ClientSession,
  Connect,
  LiveCall,
  LiveSession,
  OpenOptions,
  PendingSession,
  SessionObserver,
} from "../../services/client/live-session.ts";
import type { TransportError } from "../../transport/errors.ts";

/** A call as a session holds it. */
export class FakeCall implements LiveCall {
  readonly session: FakeSession;
  readonly options: OpenOptions;
  readonly events: ClientCallEvents;
  readonly messages: string[] = [];
  reads = 0;
  isHalfClosed = false;
  isCancelled = false;
  /** Whether OPEN has left, for the outcome of what ends the call here. */
  isSealed = true;
  /** What waits for room, when the session does not take messages at once. */
  readonly untaken: (() => void)[] = [];
  isOver = false;

  constructor(session: FakeSession, options: OpenOptions, events: ClientCallEvents) {
    this.session = session;
    this.options = options;
    this.events = events;
  }

  sendMessage(message: Uint8Array, _compressed?: boolean, onTaken?: () => void): void {
    this.messages.push(Buffer.from(message).toString());
    if (onTaken === undefined) return;
    if (this.session.takes) onTaken();
    else this.untaken.push(onTaken);
  }

  read(): void {
    this.reads += 1;
  }

  halfClose(): void {
    this.isHalfClosed = true;
  }

  cancel(): void {
    this.isCancelled = true;
    this.end({ kind: "cancelled", sealed: this.isSealed });
  }

  /** HEADERS, then messages. */
  answer(...messages: string[]): void {
    this.events.onHeaders({ metadata: [], encoding: "" });
    for (const message of messages) this.events.onMessage(Buffer.from(message), false);
  }

  end(end: CallEnd): void {
    if (this.isOver) return;
    this.isOver = true;
    this.session.calls.delete(this);
    for (const taken of this.untaken.splice(0)) taken();
    this.events.onEnd(end);
  }
}

export class FakeSession implements ClientSession, LiveSession {
  readonly calls: Set<FakeCall> = new Set<FakeCall>();
  /** All calls that were ever opened, in order. */
  readonly opened: FakeCall[] = [];
  readonly observer: SessionObserver;
  evidence: VerifiedEvidence | undefined;
  maxConcurrentCalls = 1024;
  maxAgeMs = 3_600_000;
  peer = "127.0.0.1:1";
  outerError: TransportError | undefined;
  takes = true;
  isFresh = true;
  isAborted = false;
  isClosing = false;
  isClosed = false;
  hasGoneAway = false;

  constructor(observer: SessionObserver) {
    this.observer = observer;
  }

  get session(): FakeSession {
    return this;
  }

  get openCalls(): number {
    return this.calls.size;
  }

  get isDraining(): boolean {
    return this.hasGoneAway || this.isClosed || this.isClosing;
  }

  canOpen(): boolean {
    return this.isFresh && !this.isDraining;
  }

  open(options: OpenOptions, events: ClientCallEvents): FakeCall {
    if (this.isDraining) {
      throw new ChannelError("draining", "the session takes no more calls");
    }
    const call = new FakeCall(this, options, events);
    this.calls.add(call);
    this.opened.push(call);
    return call;
  }

  close(_nowMs: number, _graceMs: number): void {
    this.isClosing = true;
  }

  abort(): void {
    this.isAborted = true;
    this.lose(new ChannelError("session-expired", "the policy no longer admits the peer"));
  }

  /** GOAWAY. */
  drain(): void {
    this.hasGoneAway = true;
    this.observer.onDraining();
  }

  /** 80 % of its age are over. */
  age(): void {
    this.isFresh = false;
    this.observer.onDraining();
  }

  /** Ends all calls as lost, then the session. */
  lose(error: ChannelError = new ChannelError("truncated", "cut")): void {
    this.isClosed = true;
    for (const call of this.calls) call.end({ kind: "lost", error });
    this.observer.onClosed();
  }
}

/** One attempt to make a session. */
export class FakeAttempt implements PendingSession {
  readonly observer: SessionObserver;
  isAbandoned = false;

  constructor(observer: SessionObserver) {
    this.observer = observer;
  }

  abandon(): void {
    this.isAbandoned = true;
  }

  succeed(change?: (session: FakeSession) => void): FakeSession {
    const session = new FakeSession(this.observer);
    change?.(session);
    this.observer.onOpen(session);
    return session;
  }

  fail(error: Error): void {
    this.observer.onFailed(error);
  }
}

/** Attempts, in the order in which they were made. */
export class FakeConnector {
  readonly attempts: FakeAttempt[] = [];

  readonly connect: Connect = (observer) => {
    const attempt = new FakeAttempt(observer);
    this.attempts.push(attempt);
    return attempt;
  };

  /** The newest attempt. */
  get last(): FakeAttempt {
    const attempt = this.attempts.at(-1);
    if (attempt === undefined) throw new Error("no attempt was made");
    return attempt;
  }
}
