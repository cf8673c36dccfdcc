/** What the parts of the client need of a session, so that they can be tried without one. */
import type { VerifiedEvidence } from "../../attestation/verified-evidence.ts";
import type { ClientCallEvents } from "../../channel/call-events.ts";
import type { Entry } from "../../channel/call-message.ts";
import type { TransportError } from "../../transport/errors.ts";

/** A call on a session; `channel/` has the rules. */
export interface LiveCall {
  sendMessage(message: Uint8Array, compressed?: boolean, onTaken?: () => void): void;
  read(): void;
  halfClose(): void;
  cancel(): void;
}

/** A session as a client uses it. */
export interface ClientSession {
  readonly evidence: VerifiedEvidence | undefined;
  readonly openCalls: number;
  /** Nothing can be opened any more: GOAWAY came, or it closes. */
  readonly isDraining: boolean;
  canOpen(nowMs: number): boolean;
  /** @throws ChannelError if it drains, RangeError if the metadata does not fit. */
  open(options: OpenOptions, events: ClientCallEvents): LiveCall;
  close(nowMs: number, graceMs: number): void;
  abort(): void;
}

export interface OpenOptions {
  readonly method: string;
  readonly metadata: readonly Entry[];
  readonly deadlineMs: number;
  readonly authority: string;
  /** Of messages that are sent as compressed; empty: none are. */
  readonly encoding: string;
}

/** A session that is through its handshake and is being driven. */
export interface LiveSession {
  readonly session: ClientSession;
  readonly maxConcurrentCalls: number;
  /** Age, in milliseconds, at which the enclave ends it. */
  readonly maxAgeMs: number;
  /** The address of the proxy. */
  readonly peer: string;
  /** How its outer stream ended, if it did: hearsay of the host. */
  readonly outerError: TransportError | undefined;
}

/** What is told of a session that is being made, and then of it while it lives. */
export interface SessionObserver {
  /** The handshake is over. */
  onOpen(live: LiveSession): void;
  /** There will be no session. Instead of `onOpen`. */
  onFailed(error: Error): void;
  /** The next session is due; calls that are open go on. After `onOpen`, at most once. */
  onDraining(): void;
  /** It has ended, its calls before it. After `onOpen`, once, last. */
  onClosed(): void;
}

/** Starts to make a session. */
export type Connect = (observer: SessionObserver) => PendingSession;

export interface PendingSession {
  /** Gives the attempt up; nothing more is told of it. Without effect on a session that is open. */
  abandon(): void;
}
