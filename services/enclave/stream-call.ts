/** The call object of the three streaming kinds: a Duplex with the sides that the kind has. */
import { Duplex } from "node:stream";

import { Metadata, status as Code } from "@grpc/grpc-js";
import type { ServerInterceptingCallInterface } from "@grpc/grpc-js";

import type { BaseCall } from "./base-call.ts";
import type { SealedAuthContext } from "./caller.ts";
import { cancelError, statusOf, UNKNOWN_ERROR } from "./status.ts";
import type { CallStatus } from "./status.ts";

export interface StreamSides {
  /** The client streams. */
  readonly readable: boolean;
  /** The handler streams; otherwise it answers through a callback. */
  readonly writable: boolean;
}

/** Messages decoded and not yet taken by the handler; more wait in the session, in its budget. */
const READ_AHEAD = 1;
/** Messages written and not yet taken by the session. */
const WRITE_AHEAD = 16;

/**
 * Reads requests and writes responses of one call.
 *
 * Invariant: the readable side ends only for a sealed END of the client. A call that is cut gets
 * `cancelled` and is then destroyed with an error.
 */
export class StreamCall extends Duplex {
  readonly metadata: Metadata;
  cancelled = false;
  readonly #call: ServerInterceptingCallInterface;
  readonly #base: BaseCall;
  readonly #writes: boolean;
  #status: CallStatus = { code: Code.OK, details: "OK" };
  #trailers: Metadata | undefined;

  constructor(
    call: ServerInterceptingCallInterface,
    base: BaseCall,
    metadata: Metadata,
    sides: StreamSides,
  ) {
    super({
      ...sides,
      objectMode: true,
      // Node's own would destroy the writing side when a `for await` over the reading side ends.
      autoDestroy: false,
      readableHighWaterMark: READ_AHEAD,
      writableHighWaterMark: WRITE_AHEAD,
    });
    this.#call = call;
    this.#base = base;
    this.#writes = sides.writable;
    this.metadata = metadata;
    this.on("error", (error) => this.#fail(error));
  }

  /** Puts a request where the handler reads. */
  receive(message: unknown): void {
    if (message === null || message === undefined) {
      // Pushed, it would be the end of the stream.
      this.#call.sendStatus({ code: Code.INTERNAL, details: "Error deserializing request" });
      return;
    }
    this.push(message);
  }

  receiveEnd(): void {
    this.push(null);
  }

  /** The call is over. */
  cancel(): void {
    this.cancelled = true;
    try {
      this.emit("cancelled", "cancelled");
    } finally {
      const reason = this.#base.cancelReason;
      if (reason === undefined) this.destroy();
      else this.destroy(cancelError(reason, this.#base.requestIsWhole));
    }
  }

  override end(trailers?: unknown): this {
    if (trailers instanceof Metadata) this.#trailers = trailers;
    else if (trailers !== undefined && trailers !== null) {
      throw new TypeError("a call ends with metadata or nothing; write() sends a message");
    }
    return super.end();
  }

  /**
   * Node emits most events on a turn of its own, where what a listener throws would end the process.
   */
  override emit(event: string | symbol, ...values: unknown[]): boolean {
    try {
      return super.emit(event, ...values);
    } catch (error) {
      this.#base.fail(error);
      return true;
    }
  }

  override _read(): void {
    this.#call.startRead();
  }

  override _write(message: unknown, _encoding: string, callback: () => void): void {
    try {
      this.#call.sendMessage(message, callback);
    } catch (error) {
      // An interceptor's. When the message had to wait, this is the session's turn.
      this.#base.fail(error);
    }
  }

  override _final(callback: () => void): void {
    callback();
    const metadata = this.#status.metadata ?? this.#trailers ?? null;
    try {
      this.#call.sendStatus({ ...this.#status, metadata });
    } catch (error) {
      this.#base.fail(error);
    }
  }

  /** A status of its own, because a failing pipeline destroys the call and says nothing more. */
  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    if (error !== null) this.#call.sendStatus(statusOf(error));
    else if (this.#writes && !this.writableFinished) this.#call.sendStatus(UNKNOWN_ERROR);
    callback(error);
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

  /** An emitted error ends the call after what was written before it. */
  #fail(error: unknown): void {
    this.#status = statusOf(error);
    if (this.#writes) this.end();
    else this.#call.sendStatus(this.#status);
  }
}
