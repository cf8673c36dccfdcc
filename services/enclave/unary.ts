/** Unary calls: one request, one answer through a callback; no stream is made for them. */
import { EventEmitter } from "node:events";

import type { Metadata, ServerInterceptingCallInterface, ServerUnaryCall } from "@grpc/grpc-js";

import type { BaseCall, Listener } from "./base-call.ts";
import type { SealedAuthContext } from "./caller.ts";
import { answerOf, runHandler } from "./run-handler.ts";
import { statusOf } from "./status.ts";

export function listenUnary(call: ServerInterceptingCallInterface, base: BaseCall): Listener {
  return new UnaryListener(call, base);
}

class UnaryListener implements Listener {
  readonly #call: ServerInterceptingCallInterface;
  readonly #base: BaseCall;
  #metadata: Metadata | undefined;
  #request: unknown;
  #handled: UnaryCall | undefined;

  constructor(call: ServerInterceptingCallInterface, base: BaseCall) {
    this.#call = call;
    this.#base = base;
  }

  onReceiveMetadata(metadata: Metadata): void {
    this.#metadata = metadata;
    this.#call.startRead();
  }

  onReceiveMessage(message: unknown): void {
    this.#request = message;
    this.#call.startRead();
  }

  onReceiveHalfClose(): void {
    if (this.#handled !== undefined || this.#metadata === undefined) return;
    const { method } = this.#base;
    const call = new UnaryCall(this.#call, this.#base, this.#metadata, this.#request);
    this.#handled = call;
    call.on("error", (error: unknown) => this.#call.sendStatus(statusOf(error)));
    const answer = answerOf(this.#call, this.#base);
    runHandler(() => method.handler(call, answer), this.#call, this.#base);
  }

  onCancel(): void {
    const call = this.#handled;
    if (call === undefined) return;
    call.cancelled = true;
    call.emit("cancelled", "cancelled");
  }
}

class UnaryCall extends EventEmitter implements ServerUnaryCall<unknown, unknown> {
  readonly metadata: Metadata;
  request: unknown;
  cancelled = false;
  readonly #call: ServerInterceptingCallInterface;
  readonly #base: BaseCall;

  constructor(
    call: ServerInterceptingCallInterface,
    base: BaseCall,
    metadata: Metadata,
    request: unknown,
  ) {
    super();
    this.#call = call;
    this.#base = base;
    this.metadata = metadata;
    this.request = request;
  }

  getPeer(): string {
    return this.#call.getPeer();
  }

  sendMetadata(metadata: Metadata): void {
    this.#call.sendMetadata(metadata);
  }

  getDeadline(): ReturnType<ServerInterceptingCallInterface["getDeadline"]> {
    return this.#call.getDeadline();
  }

  getPath(): string {
    return this.#base.method.definition.path;
  }

  getHost(): string {
    return this.#call.getHost();
  }

  getAuthContext(): SealedAuthContext {
    return this.#base.getAuthContext();
  }

  getMetricsRecorder(): ReturnType<ServerInterceptingCallInterface["getMetricsRecorder"]> {
    return this.#call.getMetricsRecorder();
  }
}
