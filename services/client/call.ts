/**
 * The call object that grpc-js's stubs and interceptors stand on, over a sealed call. It keeps
 * grpc-js's rules: metadata before messages, one message a read, one status, last; the listener is
 * called from the next tick, in the caller's asynchronous context, and what it throws stays out of
 * the session.
 */
import { AsyncResource } from "node:async_hooks";

import { Metadata, propagate, status as Code } from "@grpc/grpc-js";
import type {
  CallCredentials,
  ChannelInterface,
  Deadline,
  InterceptingListener,
} from "@grpc/grpc-js";

import type { VerifiedEvidence } from "../../attestation/verified-evidence.ts";
import type { ResponseHeader } from "../../channel/call-message.ts";
import { metadataOf } from "../grpc/metadata.ts";
import { sessionDeadline } from "./call-deadline.ts";
import type { ParentCall } from "./call-deadline.ts";
import type { CallHost } from "./call-host.ts";
import { endCall, startCall } from "./call-start.ts";
import { deliverSoon } from "./listener-queue.ts";
import type { Delivery } from "./listener-queue.ts";
import { inflate } from "../grpc/inflate.ts";
import { SealedCall } from "./sealed-call.ts";
import type { CallReceiver } from "./sealed-call.ts";
import { own, statusObject } from "./status.ts";
import type { CallStatus } from "./status.ts";

/** grpc-js's call; it does not export the name. */
type ChannelCall = ReturnType<ChannelInterface["createCall"]>;
type MessageContext = Parameters<ChannelCall["sendMessageWithContext"]>[0];

/** What `getAuthContext()` of a call gives: the evidence of the session that the call is on. */
export interface SealedAuthContext {
  transportSecurityType: "sealrpc";
  evidence: VerifiedEvidence;
}

let lastCallNumber = 0;

export class AttestedCall extends AsyncResource implements ChannelCall, CallReceiver, Delivery {
  readonly #host: CallHost;
  readonly #method: string;
  readonly #authority: string;
  readonly #deadlineMs: number;
  readonly #sealed: SealedCall;
  readonly #number = ++lastCallNumber;
  #parent: ParentCall | undefined;
  #onParentCancelled: (() => void) | undefined;
  #credentials: CallCredentials | undefined;
  #listener: InterceptingListener | undefined;
  #encoding = "";
  #isScheduled = false;
  #isCancelled = false;
  #headers: Metadata | undefined;
  #messages: Buffer[] = [];
  #status: CallStatus | undefined;
  #isOver = false;

  /** Parameters as `ChannelInterface.createCall` has them. */
  constructor(
    host: CallHost,
    method: string,
    deadline: Deadline,
    authority: string | null | undefined,
    parent: ParentCall | null,
    propagateFlags: number | null | undefined,
  ) {
    super("SEALRPC_CALL", { requireManualDestroy: true });
    const flags = propagateFlags ?? propagate.DEFAULTS;
    this.#host = host;
    this.#method = method;
    this.#authority = authority ?? host.authority;
    this.#deadlineMs = sessionDeadline(deadline, parent, flags);
    if (parent !== null && (flags & propagate.CANCELLATION) !== 0) this.#parent = parent;
    this.#sealed = new SealedCall(host.source, host.ledger, this, {
      method,
      authority: this.#authority,
      encoding: "",
      deadlineMs: this.#deadlineMs,
      idempotent: host.isIdempotent(method),
    });
  }

  setCredentials(credentials: CallCredentials): void {
    this.#credentials = credentials;
  }

  start(metadata: Metadata, listener: InterceptingListener): void {
    this.#listener = listener;
    this.#followParent();
    startCall({
      sealed: this.#sealed,
      host: this.#host,
      method: this.#method,
      authority: this.#authority,
      deadlineMs: this.#deadlineMs,
      metadata,
      credentials: this.#credentials,
    });
  }

  sendMessageWithContext(context: MessageContext, message: Buffer): void {
    const { callback } = context;
    const { maxSendMessageBytes } = this.#host;
    if (maxSendMessageBytes >= 0 && message.length > maxSendMessageBytes) {
      this.#end(
        Code.RESOURCE_EXHAUSTED,
        `Attempted to send message with a size larger than ${maxSendMessageBytes}`,
      );
    }
    // Messages leave uncompressed, which is what flag 2 (no compression) of the context asks for.
    if (callback === undefined) this.#sealed.send(message, false);
    // On the next tick: a stub that writes in a loop would go on for ever once the call is over.
    else this.#sealed.send(message, false, () => process.nextTick(runInScope, this, callback));
  }

  startRead(): void {
    this.#sealed.read();
  }

  halfClose(): void {
    this.#sealed.halfClose();
  }

  cancelWithStatus(code: Code, details: string): void {
    this.#end(code, details);
  }

  getPeer(): string {
    return this.#sealed.peer ?? this.#host.target;
  }

  getCallNumber(): number {
    return this.#number;
  }

  /** `null` until the call is on a session. */
  getAuthContext(): SealedAuthContext | null {
    const { evidence } = this.#sealed;
    return evidence === undefined ? null : { transportSecurityType: "sealrpc", evidence };
  }

  // What the sealed call brings; delivered on the next tick.

  onHeaders(header: ResponseHeader): void {
    this.#encoding = header.encoding;
    try {
      this.#headers = header.metadata.length === 0 ? new Metadata() : metadataOf(header.metadata);
    } catch (error) {
      this.#end(Code.INTERNAL, (error as Error).message);
      return;
    }
    this.#schedule();
  }

  onMessage(message: Uint8Array, compressed: boolean): void {
    let plain = message;
    if (compressed) {
      const inflated = inflate(message, this.#encoding, this.#host.maxReceiveMessageBytes);
      if (!(inflated instanceof Uint8Array)) {
        this.#end(inflated.code, inflated.details);
        return;
      }
      plain = inflated;
    }
    this.#messages.push(Buffer.from(plain.buffer, plain.byteOffset, plain.byteLength));
    this.#schedule();
  }

  onStatus(status: CallStatus): void {
    this.#status = status;
    this.#schedule();
  }

  deliver(): void {
    this.#isScheduled = false;
    try {
      this.runInAsyncScope(() => this.#deliverAll());
    } finally {
      // A listener threw: what is left comes by itself.
      if (this.#messages.length > 0 || (this.#status !== undefined && !this.#isOver)) {
        this.#schedule();
      }
    }
  }

  #deliverAll(): void {
    const listener = this.#listener;
    if (listener === undefined || this.#isOver) return;
    const headers = this.#headers;
    if (headers !== undefined) {
      this.#headers = undefined;
      listener.onReceiveMetadata(headers);
    }
    for (
      let message = this.#messages.shift();
      message !== undefined;
      message = this.#messages.shift()
    ) {
      listener.onReceiveMessage(message);
    }
    const status = this.#status;
    if (status === undefined) return;
    this.#isOver = true;
    if (this.#onParentCancelled !== undefined) {
      this.#parent?.removeListener("cancelled", this.#onParentCancelled);
    }
    listener.onReceiveStatus(statusObject(status));
  }

  /** Ends the call here, whatever it is doing; nothing of it is delivered any more but the status. */
  #end(code: Code, details: string): void {
    if (this.#isCancelled || this.#isOver) return;
    this.#isCancelled = true;
    this.#headers = undefined;
    this.#messages = [];
    if (this.#status !== undefined) {
      this.#status = own(code, details, this.#status.outcome, undefined);
    }
    // Before it was started, nobody listens: it ends as it starts.
    if (this.#listener === undefined) this.#sealed.cancel(code, details);
    else endCall(this.#sealed, code, details);
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    deliverSoon(this);
  }

  #followParent(): void {
    const parent = this.#parent;
    if (parent === undefined) return;
    const cancel = (): void => {
      this.#end(Code.CANCELLED, "Cancelled by parent call");
    };
    this.#onParentCancelled = cancel;
    parent.on("cancelled", cancel);
    if (parent.cancelled) cancel();
  }
}

function runInScope(scope: AsyncResource, callback: () => void): void {
  scope.runInAsyncScope(callback);
}
