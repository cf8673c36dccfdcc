/**
 * The enclave's side of one call under grpc-js's interceptors: between messages and statuses on
 * one side and the frames of a session on the other (docs/protocol.md §8, §9).
 */
import { status as Code } from "@grpc/grpc-js";
import type {
  Metadata,
  ServerInterceptingCallInterface,
  ServerInterceptor,
  ServerMethodDefinition,
} from "@grpc/grpc-js";

import type { CancelReason, EnclaveCallEvents } from "../../channel/call-events.ts";
import type { Entry, RequestHeader, Status } from "../../channel/call-message.ts";
import type { OpenCall } from "./open-call.ts";
import { entriesOf } from "../grpc/metadata.ts";
import type { SealedAuthContext } from "./caller.ts";
import { inflate } from "../grpc/inflate.ts";
import { NO_METRICS } from "./metrics.ts";
import { Place } from "./place.ts";
import { isCode, UNKNOWN_ERROR } from "./status.ts";
import type { CallStatus } from "./status.ts";

/** What grpc-js's interceptors and our own calls tell of a call's events. */
export type Listener = Parameters<ServerInterceptingCallInterface["start"]>[0];

/** A method, as its calls need it. */
export interface Method {
  readonly definition: ServerMethodDefinition<unknown, unknown>;
  /** Of any kind; the compiler checked it against its service before. */
  readonly handler: (call: unknown, callback?: unknown) => unknown;
  /** The end of the chain of listeners: the call object of this kind and its handler. */
  readonly listen: (call: ServerInterceptingCallInterface, base: BaseCall) => Listener;
}

/** What all calls of one session share. */
export interface CallSettings {
  /** In bytes, after inflating; -1: no limit. */
  readonly maxReceiveMessageBytes: number;
  /** In bytes; -1: no limit. */
  readonly maxSendMessageBytes: number;
  readonly interceptors: readonly ServerInterceptor[];
  readonly authContext: SealedAuthContext;
  /** Told what handlers and interceptors throw; callers of the service never are. */
  readonly onHandlerError: (error: unknown, path: string) => void;
}

interface Message {
  readonly bytes: Uint8Array;
  readonly compressed: boolean;
}

const NO_ENTRIES: readonly Entry[] = [];

/**
 * One call, from OPEN on. A call with one request collects it first and starts when it is whole;
 * until then nothing of the application runs, interceptors included, and the call can still be
 * refused.
 */
export class BaseCall implements ServerInterceptingCallInterface, EnclaveCallEvents {
  readonly method: Method;
  readonly place: Place;
  readonly #call: OpenCall;
  readonly #settings: CallSettings;
  readonly #metadata: Metadata;
  readonly #encoding: string;
  readonly #authority: string;
  #listener: Listener | undefined;
  #request: Message | undefined;
  #halfClosed = false;
  #headersSent = false;
  #over = false;
  #cancelReason: CancelReason | undefined;

  constructor(
    call: OpenCall,
    header: RequestHeader,
    metadata: Metadata,
    method: Method,
    settings: CallSettings,
  ) {
    this.#call = call;
    this.#metadata = metadata;
    this.#encoding = header.encoding;
    this.#authority = header.authority;
    this.method = method;
    this.#settings = settings;
    this.place = new Place(call);
  }

  /** First step: starts the call, or the reading of its one request. */
  open(): void {
    if (!this.method.definition.requestStream) this.#call.read();
    else if (this.#call.start(false, performance.now())) this.#begin();
    else this.#over = true;
  }

  /** Why the call was over before its handler ended it. */
  get cancelReason(): CancelReason | undefined {
    return this.#cancelReason;
  }

  /** Whether the client's sealed END has come. */
  get requestIsWhole(): boolean {
    return this.#halfClosed;
  }

  reportError(error: unknown): void {
    try {
      this.#settings.onHandlerError(error, this.method.definition.path);
    } catch {
      // Whoever is told of errors has one of its own, and nobody else to tell.
    }
  }

  // What the session tells.

  onMessage(bytes: Uint8Array, compressed: boolean): void {
    if (this.#over) return;
    if (this.method.definition.requestStream) {
      this.#deliver({ bytes, compressed });
    } else if (this.#request === undefined) {
      this.#request = { bytes, compressed };
      this.#call.read();
    } else {
      this.#refuseCount();
    }
  }

  onHalfClose(): void {
    if (this.#over) return;
    this.#halfClosed = true;
    if (this.method.definition.requestStream) {
      this.#tell(() => this.#listener?.onReceiveHalfClose());
    } else if (this.#request === undefined) {
      this.#refuseCount();
    } else if (this.#call.start(true, performance.now())) {
      this.#begin();
    } else {
      this.#over = true;
    }
  }

  onCancel(reason: CancelReason): void {
    if (this.#over) return;
    this.#over = true;
    this.#cancelReason = reason;
    this.#request = undefined;
    this.#finish();
  }

  // What the interceptors and the handler's call object ask for.

  start(listener: Listener): void {
    this.#listener = listener;
    this.#tell(() => listener.onReceiveMetadata(this.#metadata));
  }

  startRead(): void {
    if (this.#over) return;
    if (this.method.definition.requestStream) {
      if (!this.#halfClosed) this.#call.read();
    } else if (this.#request === undefined) {
      this.#tell(() => this.#listener?.onReceiveHalfClose());
    } else {
      const request = this.#request;
      this.#request = undefined;
      this.#deliver(request);
    }
  }

  sendMetadata(metadata: Metadata): void {
    if (this.#over || this.#headersSent) return;
    const entries = metadata ? this.#entries(metadata) : NO_ENTRIES;
    if (entries !== undefined) this.#sendHeaders(entries);
  }

  /** `callback` runs when there is room for another message. */
  sendMessage(message: unknown, callback: () => void): void {
    if (this.#over) return;
    const { definition } = this.method;
    let bytes: Uint8Array;
    try {
      bytes = definition.responseSerialize(message);
      if (!(bytes instanceof Uint8Array)) throw new TypeError("a serializer gives bytes");
    } catch (error) {
      this.reportError(error);
      this.sendStatus({ code: Code.INTERNAL, details: "Error serializing response" });
      return;
    }
    const limit = this.#settings.maxSendMessageBytes;
    if (limit !== -1 && bytes.length > limit) {
      const details = `the response has ${bytes.length} bytes, more than ${limit}`;
      this.sendStatus({ code: Code.RESOURCE_EXHAUSTED, details });
      return;
    }
    if (!this.#headersSent) this.#sendHeaders(NO_ENTRIES);
    if (definition.responseStream) {
      this.#call.sendMessage(bytes, false, callback);
    } else {
      // There is no second message to hold back, and the status shall leave in the same record.
      this.#call.sendMessage(bytes);
      callback();
    }
  }

  sendStatus({ code, details, metadata }: CallStatus): void {
    if (this.#over) return;
    const trailers = metadata ? this.#entries(metadata) : NO_ENTRIES;
    // The trailers were illegal, and the call has its status.
    if (trailers === undefined) return;
    // Interceptors and plain JavaScript may pass anything.
    const message = typeof details === "string" ? details : "";
    this.#end({ code: isCode(code) ? code : Code.UNKNOWN, message, trailers });
  }

  /** Ends the call for what the application threw, or did that it may not. */
  fail(error: unknown): void {
    this.reportError(error);
    this.sendStatus(UNKNOWN_ERROR);
  }

  getPeer(): string {
    return "unknown";
  }

  /** In milliseconds of the wall clock, or Infinity. */
  getDeadline(): number {
    return Date.now() + (this.#call.deadlineMs - performance.now());
  }

  getHost(): string {
    return this.#authority;
  }

  getAuthContext(): SealedAuthContext {
    return this.#settings.authContext;
  }

  getConnectionInfo(): Record<string, never> {
    return {};
  }

  getMetricsRecorder(): typeof NO_METRICS {
    return NO_METRICS;
  }

  #begin(): void {
    this.#tell(() => {
      const call = this.#settings.interceptors.reduce<ServerInterceptingCallInterface>(
        (inner, intercept) => intercept(this.method.definition, inner),
        this,
      );
      call.start(this.method.listen(call, this));
    });
  }

  #deliver({ bytes, compressed }: Message): void {
    let message = bytes;
    if (compressed) {
      const inflated = inflate(bytes, this.#encoding, this.#settings.maxReceiveMessageBytes);
      if (!(inflated instanceof Uint8Array)) {
        this.sendStatus(inflated);
        return;
      }
      message = inflated;
    }
    let request: unknown;
    try {
      request = this.method.definition.requestDeserialize(asBuffer(message));
    } catch (error) {
      this.reportError(error);
      this.sendStatus({ code: Code.INTERNAL, details: "Error deserializing request" });
      return;
    }
    this.#tell(() => this.#listener?.onReceiveMessage(request));
  }

  /** Listeners run inside the session's methods, which must not see them throw. */
  #tell(event: () => void): void {
    try {
      event();
    } catch (error) {
      this.fail(error);
    }
  }

  #refuseCount(): void {
    this.#over = true;
    this.#request = undefined;
    this.#call.refuse({
      code: Code.UNIMPLEMENTED,
      message: "the method takes exactly one request message",
      trailers: NO_ENTRIES,
    });
  }

  /** Undefined when the metadata cannot be sent; the call has then ended with INTERNAL. */
  #entries(metadata: Metadata): readonly Entry[] | undefined {
    try {
      return entriesOf(metadata);
    } catch (error) {
      this.reportError(error);
      this.#end({ code: Code.INTERNAL, message: "Error sending metadata", trailers: NO_ENTRIES });
      return undefined;
    }
  }

  #sendHeaders(metadata: readonly Entry[]): void {
    this.#headersSent = true;
    this.#call.sendHeaders({ metadata, encoding: "" });
  }

  #end(status: Status): void {
    this.#over = true;
    this.#call.end(status);
    // As in grpc-js, `cancelled` follows every call, good ones too, and not before the handler
    // has returned from its callback.
    process.nextTick(() => this.#finish());
  }

  #finish(): void {
    this.#tell(() => this.#listener?.onCancel());
    this.place.callOver();
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
