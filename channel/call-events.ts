/**
 * What a session tells of its calls (docs/protocol.md §8 and §9). All callbacks run synchronously
 * inside a session's methods, may call back into it, and must not throw.
 */
import type { ResponseHeader, Status } from "./call-message.ts";
import type { ChannelError } from "./errors.ts";

/** What is known of a call that failed: whether its handler ran (docs/protocol.md §9). */
export type Outcome = "executed" | "not-executed" | "unknown";

/** How a call ended, from the client's side. */
export type CallEnd =
  /** A sealed END: the handler ran. */
  | { readonly kind: "status"; readonly status: Status }
  /** A sealed REFUSED: the call has not run and never will. */
  | { readonly kind: "refused"; readonly status: Status; readonly elsewhere: boolean }
  /** Its id is above a sealed GOAWAY's last: it has not run and never will. */
  | { readonly kind: "goaway" }
  /** The session ended or drained before OPEN was sealed. */
  | { readonly kind: "unsealed" }
  /** The session ended, otherwise than in order, after OPEN was sealed. */
  | { readonly kind: "lost"; readonly error: ChannelError }
  | { readonly kind: "deadline"; readonly sealed: boolean }
  | { readonly kind: "cancelled"; readonly sealed: boolean }
  /** Ended here, by a limit of this side; `code` is a gRPC status. */
  | {
      readonly kind: "local";
      readonly code: number;
      readonly message: string;
      readonly sealed: boolean;
    };

/** Why a call that runs in the enclave is over before its handler ended it. */
export type CancelReason = "cancelled" | "deadline" | "truncated" | "too-large" | "budget" | "age";

export interface ClientCallEvents {
  /** At most once, before the first message. */
  onHeaders(header: ResponseHeader): void;
  /** One for each `read()`. The bytes belong to the receiver. */
  onMessage(message: Uint8Array, compressed: boolean): void;
  /** Exactly once, last. A status of OK comes after the last message was read, any other end at once. */
  onEnd(end: CallEnd): void;
}

export interface EnclaveCallEvents {
  /** One for each `read()`. The bytes belong to the receiver. */
  onMessage(message: Uint8Array, compressed: boolean): void;
  /** The client's END: the request is whole. After the last message was read. */
  onHalfClose(): void;
  /** At most once: the call is over, nothing more can be sent, and its handler must stop. */
  onCancel(reason: CancelReason): void;
}
