/**
 * One call of a typed client: messages of a protobuf-es descriptor over a sealed call, with what
 * `createClient` offers around it, and nothing of grpc-js's call objects in between.
 */
import { AsyncResource } from "node:async_hooks";

import type { DescMessage, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import { Metadata, status as Code } from "@grpc/grpc-js";

import type { VerifiedEvidence } from "../../attestation/verified-evidence.ts";
import type { ResponseHeader } from "../../channel/call-message.ts";
import { metadataOf } from "../grpc/metadata.ts";
import { CallError } from "./call-error.ts";
import type { CallHost } from "./call-host.ts";
import { deadlineAfter } from "./call-deadline.ts";
import { endCall, startCall } from "./call-start.ts";
import { throwSoon } from "./listener-queue.ts";
import { inflate } from "../grpc/inflate.ts";
import { SealedCall } from "./sealed-call.ts";
import type { CallReceiver } from "./sealed-call.ts";
import { statusObject } from "./status.ts";
import type { CallStatus } from "./status.ts";

/** What may be said about one call. */
export interface CallOptions {
  readonly metadata?: Metadata;
  /** Cancels the call when it aborts. */
  readonly signal?: AbortSignal;
  /** The call's deadline, from now on, in milliseconds. */
  readonly timeoutMs?: number;
  /** The response's metadata, before its first message. */
  readonly onHeaders?: (metadata: Metadata) => void;
  /** The trailing metadata, also of a call that fails. */
  readonly onTrailers?: (metadata: Metadata) => void;
  /** The verified evidence of the session that answers, before anything of the answer. */
  readonly onEvidence?: (evidence: VerifiedEvidence) => void;
}

const NO_OPTIONS: CallOptions = {};

/** Who gets the messages and the end of a typed call. */
export interface ReplyReceiver<Message> {
  onMessage(message: Message, call: TypedCall): void;
  /** Once, last; without an error: OK. */
  onEnd(error: Error | undefined): void;
}

/** A method on a channel. */
export interface TypedMethod {
  readonly host: CallHost;
  /** "/package.Service/Method" */
  readonly path: string;
  readonly idempotent: boolean;
  /** @throws TypeError for what is no message. */
  readonly serialize: (message: MessageInitShape<DescMessage>) => Uint8Array;
  readonly deserialize: (bytes: Uint8Array) => MessageShape<DescMessage>;
}

export class TypedCall implements CallReceiver {
  /** Called once, when it is over; for one that is over already, never. */
  onOver: (() => void) | undefined;
  readonly #method: TypedMethod;
  readonly #options: CallOptions;
  readonly #receiver: ReplyReceiver<MessageShape<DescMessage>>;
  readonly #deadlineMs: number;
  readonly #sealed: SealedCall;
  /** The caller's asynchronous context, for its callbacks. */
  readonly #scope: AsyncResource | undefined;
  #encoding = "";
  #evidenceShown = false;
  #unfollow: (() => void) | undefined;
  /** Why the call was ended here, if it was. */
  #cause: unknown;
  #isOver = false;

  /** @throws TypeError for a timeout that is no time. */
  constructor(
    method: TypedMethod,
    options: CallOptions | undefined,
    receiver: ReplyReceiver<MessageShape<DescMessage>>,
  ) {
    const { host, path, idempotent } = method;
    this.#method = method;
    this.#options = options ?? NO_OPTIONS;
    this.#receiver = receiver;
    const { timeoutMs = Infinity, onHeaders, onTrailers, onEvidence } = this.#options;
    this.#deadlineMs = deadlineAfter(timeoutMs);
    if ((onHeaders ?? onTrailers ?? onEvidence) !== undefined) {
      this.#scope = new AsyncResource("SEALRPC_CALL", { requireManualDestroy: true });
    }
    this.#sealed = new SealedCall(host.source, host.ledger, this, {
      method: path,
      authority: host.authority,
      encoding: "",
      deadlineMs: this.#deadlineMs,
      idempotent,
    });
  }

  /** Whether nothing can be sent or received any more. */
  get isOver(): boolean {
    return this.#isOver;
  }

  start(): void {
    const { metadata, signal } = this.#options;
    const { host, path } = this.#method;
    if (signal !== undefined) this.#follow(signal);
    if (metadata === undefined && host.callCredentials === undefined) {
      this.#sealed.start([host.userAgent], false);
      return;
    }
    startCall({
      sealed: this.#sealed,
      host,
      method: path,
      authority: host.authority,
      deadlineMs: this.#deadlineMs,
      metadata: metadata ?? new Metadata(),
      credentials: undefined,
    });
  }

  /** Sends one message; `onTaken` is called once there is room for more, or the call is over. */
  send(message: Uint8Array, onTaken?: () => void): void {
    const { maxSendMessageBytes } = this.#method.host;
    if (maxSendMessageBytes >= 0 && message.length > maxSendMessageBytes) {
      this.cancel(
        Code.RESOURCE_EXHAUSTED,
        `Attempted to send message with a size larger than ${maxSendMessageBytes}`,
      );
    }
    this.#sealed.send(message, false, onTaken);
  }

  read(): void {
    this.#sealed.read();
  }

  halfClose(): void {
    this.#sealed.halfClose();
  }

  /** Ends the call here; without effect on one that is over. */
  cancel(code: Code, details: string, cause?: unknown): void {
    this.#cause ??= cause;
    endCall(this.#sealed, code, details);
  }

  onHeaders(header: ResponseHeader): void {
    this.#encoding = header.encoding;
    this.#showEvidence();
    const { onHeaders } = this.#options;
    if (onHeaders === undefined) return;
    try {
      const metadata = metadataOf(header.metadata);
      this.#run(onHeaders, metadata);
    } catch (error) {
      this.cancel(Code.INTERNAL, (error as Error).message, error);
    }
  }

  onMessage(message: Uint8Array, compressed: boolean): void {
    let plain = message;
    if (compressed) {
      const inflated = inflate(message, this.#encoding, this.#method.host.maxReceiveMessageBytes);
      if (!(inflated instanceof Uint8Array)) {
        this.cancel(inflated.code, inflated.details);
        return;
      }
      plain = inflated;
    }
    let reply: MessageShape<DescMessage>;
    try {
      reply = this.#method.deserialize(plain);
    } catch (error) {
      this.cancel(Code.INTERNAL, "Response message parsing error", error);
      return;
    }
    this.#receiver.onMessage(reply, this);
  }

  onStatus(status: CallStatus): void {
    this.#isOver = true;
    this.#unfollow?.();
    if (status.outcome !== "not-executed") this.#showEvidence();
    const { onTrailers } = this.#options;
    if (onTrailers !== undefined) this.#run(onTrailers, statusObject(status).metadata);
    this.#receiver.onEnd(
      status.code === Code.OK
        ? undefined
        : new CallError(status, this.#cause === undefined ? undefined : { cause: this.#cause }),
    );
    this.onOver?.();
  }

  #follow(signal: AbortSignal): void {
    const abort = (): void => {
      this.cancel(Code.CANCELLED, "the call was aborted", signal.reason);
    };
    this.#unfollow = () => signal.removeEventListener("abort", abort);
    signal.addEventListener("abort", abort, { once: true });
    if (signal.aborted) abort();
  }

  #showEvidence(): void {
    const { onEvidence } = this.#options;
    const { evidence } = this.#sealed;
    if (onEvidence === undefined || evidence === undefined || this.#evidenceShown) return;
    this.#evidenceShown = true;
    this.#run(onEvidence, evidence);
  }

  /** What the application's callback throws is not the session's business. */
  #run<Value>(callback: (value: Value) => void, value: Value): void {
    try {
      this.#scope?.runInAsyncScope(callback, undefined, value);
    } catch (error) {
      throwSoon(error);
    }
  }
}
