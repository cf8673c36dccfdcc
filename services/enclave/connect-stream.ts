/**
 * The enclave's end of one outer stream: an HTTP/2 stream on one side, a handshake and then a
 * session on the other (docs/protocol.md §3, §4). Whoever is at the other end may be the host, so
 * whatever goes wrong looks the same from there.
 */
import type { OutgoingHttpHeaders, ServerHttp2Stream } from "node:http2";

import { status as Code } from "@grpc/grpc-js";

import type { EnclaveHandshake } from "../../channel/enclave-handshake.ts";
import { ChannelError } from "../../channel/errors.ts";
import type { Established, SessionTerms } from "../../channel/established.ts";
import type { HelloBatcher } from "../../channel/hello-batch.ts";
import {
  encodeRecordMessage,
  MAX_OUTER_MESSAGE_BYTES,
  parseOuter,
} from "../../channel/outer-message.ts";
import { giveArray } from "../../channel/record-array.ts";
import type { SessionEvents } from "../../channel/session-options.ts";
import type { Session } from "../../channel/session.ts";
import { SessionDriver } from "../grpc/session-driver.ts";
import type { OuterStream } from "../grpc/session-driver.ts";
import type { CallerPolicy } from "./caller-policy.ts";
import { MessageReader } from "./message-reader.ts";

/** What a stream needs of the server that accepted it. */
export interface ConnectHost {
  readonly handshakeTimeoutMs: number;
  readonly terms: SessionTerms;
  readonly hellos: HelloBatcher;
  /** Whether one more session may begin. */
  hasRoom(): boolean;
  createSession(established: Established, events: SessionEvents, nowMs: number): Session;
  /** The session began. */
  began(stream: ConnectStream): void;
  /** Nothing of the stream is left. Once. */
  closed(stream: ConnectStream): void;
  /** Why no session came about, or why it ended otherwise than in order; for the log. */
  failed(error: unknown): void;
}

/** Finish is the largest message before records: 21 KiB sealed and an encapsulated key. */
const MAX_HANDSHAKE_MESSAGE_BYTES = 24 * 1024;
/** Beyond its age, a session has 10 min for its calls; the rest is for what it says last. */
const LAST_CALLS_MS = 11 * 60_000;
const RESPONSE = { ":status": 200, "content-type": "application/grpc" } as const;

/** The one error for everything that is wrong with a stream (docs/protocol.md §4). */
export const SESSION_ERROR: OutgoingHttpHeaders = {
  "grpc-status": String(Code.FAILED_PRECONDITION),
  "grpc-message": "sealrpc: session",
};
/** For what has nothing to do with the other end: no room, no evidence to be had, a shutdown. */
export const UNAVAILABLE: OutgoingHttpHeaders = {
  "grpc-status": String(Code.UNAVAILABLE),
  "grpc-message": "sealrpc: unavailable",
};
const ORDERLY: OutgoingHttpHeaders = { "grpc-status": String(Code.OK) };

/** Ends a stream with a status and nothing before it. */
export function answerOnly(stream: ServerHttp2Stream, status: OutgoingHttpHeaders): void {
  if (stream.destroyed || stream.closed) return;
  stream.respond({ ...RESPONSE, ...status }, { endStream: true });
  closeSoon(stream);
}

/** What may arrive next; "evidence" while the attester makes the answer to the hello. */
type Step = "hello" | "evidence" | "finish" | "session" | "over";

export class ConnectStream implements OuterStream {
  readonly #stream: ServerHttp2Stream;
  readonly #host: ConnectHost;
  readonly #reader = new MessageReader(MAX_HANDSHAKE_MESSAGE_BYTES);
  readonly #driver = new SessionDriver(this);
  /** What the other end may delay is bounded by time, in every step. */
  #timer: NodeJS.Timeout;
  #step: Step = "hello";
  #handshake: EnclaveHandshake | undefined;
  #session: Session | undefined;
  #trailers = ORDERLY;

  /** Takes over a stream whose request was accepted. */
  constructor(stream: ServerHttp2Stream, host: ConnectHost) {
    this.#stream = stream;
    this.#host = host;
    this.#timer = setTimeout(() => {
      this.#fail(new ChannelError("handshake-timeout", "no Finish came in time"));
    }, host.handshakeTimeoutMs);
    this.#timer.unref();
    stream.on("data", (chunk: Buffer) => this.#read(chunk));
    stream.on("end", () => this.#lost());
    stream.on("aborted", () => this.#lost());
    // Whatever it is, `close` follows.
    stream.on("error", () => {});
    stream.on("close", () => {
      this.#lost();
      clearTimeout(this.#timer);
      host.closed(this);
    });
    stream.on("wantTrailers", () => {
      stream.sendTrailers(this.#trailers);
      closeSoon(stream);
    });
  }

  /** Ends a session when its calls are over, at the latest after `graceMs`, and a handshake at once. */
  goAway(graceMs: number): void {
    if (this.#session !== undefined) this.#session.goAway(performance.now(), graceMs);
    else this.#refuse(UNAVAILABLE);
  }

  /** Ends a session at once when its caller is not admitted any more. */
  reappraise(callers: CallerPolicy): void {
    if (this.#session !== undefined && !callers.readmits(this.#session.evidence)) {
      this.#session.abort();
    }
  }

  /** Cuts the stream. On a later turn, for the same reason as `closeSoon`. */
  cut(): void {
    setImmediate(() => this.#stream.destroy());
  }

  unwrittenBytes(): number {
    return this.#stream.writableLength;
  }

  write(buffer: Uint8Array): void {
    const message = encodeRecordMessage(buffer, true);
    this.#send(message, (error) => {
      if (!error) giveArray(message);
      this.#driver.resume();
    });
  }

  end(): void {
    if (this.#stream.destroyed) return;
    this.#stream.end();
    this.#cutAfter(this.#host.handshakeTimeoutMs);
  }

  readonly #take = (message: Uint8Array): void => {
    switch (this.#step) {
      case "session":
        this.#receiveRecord(message);
        return;
      case "hello":
        this.#step = "evidence";
        void this.#receiveHello(message);
        return;
      case "finish":
        this.#receiveFinish(message);
        return;
      case "evidence":
        throw new ChannelError("malformed-handshake", "a message before the hello was answered");
      case "over":
    }
  };

  #read(chunk: Buffer): void {
    if (this.#step === "over") return;
    try {
      this.#reader.read(chunk, this.#take);
    } catch (error) {
      this.#fail(error);
    }
  }

  async #receiveHello(message: Uint8Array): Promise<void> {
    let handshake: EnclaveHandshake;
    try {
      handshake = await this.#host.hellos.accept(message);
    } catch (error) {
      this.#fail(error);
      return;
    }
    // A stream is destroyed before its `close` says so.
    if (this.#step !== "evidence" || this.#stream.destroyed || this.#stream.closed) {
      handshake.expire();
      return;
    }
    this.#handshake = handshake;
    this.#step = "finish";
    this.#stream.respond(RESPONSE, { waitForTrailers: true });
    this.#send(grpcMessage(handshake.reply));
  }

  #receiveFinish(message: Uint8Array): void {
    const handshake = this.#handshake;
    this.#handshake = undefined;
    if (handshake === undefined) return;
    if (!this.#host.hasRoom()) {
      handshake.expire();
      this.#refuse(UNAVAILABLE);
      return;
    }
    // Invariant: the enclave's zero is not later than the moment that the client can know of.
    const nowMs = performance.now();
    const { reply, established, refusal } = handshake.receiveFinish(message, this.#host.terms);
    this.#send(grpcMessage(reply));
    if (established === undefined) {
      this.#host.failed(refusal);
      this.#refuse(SESSION_ERROR);
      return;
    }
    this.#cutAfter(this.#host.terms.maxAgeMs + LAST_CALLS_MS);
    this.#step = "session";
    this.#reader.maxBytes = MAX_OUTER_MESSAGE_BYTES;
    const events: SessionEvents = {
      onOutput: this.#driver.onOutput,
      onClosed: (error) => this.#closed(error),
    };
    this.#session = this.#host.createSession(established, events, nowMs);
    this.#host.began(this);
    this.#driver.drive(this.#session);
  }

  #receiveRecord(message: Uint8Array): void {
    const { kind, body } = parseOuter(message);
    if (kind !== "record") throw new ChannelError("malformed-record", `a ${kind} in a session`);
    this.#driver.receive(body);
  }

  /** The other end sends nothing any more; in a session that was not ended, a truncation. */
  #lost(): void {
    if (this.#session !== undefined) {
      this.#session.receiveStreamEnd(performance.now());
    } else {
      this.#refuse(SESSION_ERROR);
    }
  }

  /** The handshake failed, or something that is no record came. */
  #fail(error: unknown): void {
    if (this.#step === "over") return;
    this.#host.failed(error);
    if (this.#session === undefined) {
      this.#refuse(isOurs(error) ? UNAVAILABLE : SESSION_ERROR);
      return;
    }
    this.#step = "over";
    this.#trailers = SESSION_ERROR;
    this.#session.receiveStreamEnd(performance.now());
  }

  #refuse(status: OutgoingHttpHeaders): void {
    if (this.#step === "over") return;
    this.#over();
    this.#trailers = status;
    if (this.#stream.headersSent) this.end();
    else answerOnly(this.#stream, status);
  }

  #over(): void {
    this.#step = "over";
    this.#handshake?.expire();
    this.#handshake = undefined;
  }

  #closed(error: ChannelError | undefined): void {
    if (error !== undefined && this.#step !== "over") {
      this.#host.failed(error);
      this.#trailers = SESSION_ERROR;
    }
    this.#over();
    this.#driver.close();
  }

  /** Gives the other end this long to let the stream end in order. */
  #cutAfter(ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.cut(), ms);
    this.#timer.unref();
  }

  #send(bytes: Uint8Array, callback?: (error?: Error | null) => void): void {
    if (!this.#stream.destroyed && !this.#stream.writableEnded) this.#stream.write(bytes, callback);
  }
}

/** Whether an error says something about this enclave and nothing about the other end. */
function isOurs(error: unknown): boolean {
  return !(error instanceof ChannelError) || error.code === "refused";
}

function grpcMessage(message: Uint8Array): Uint8Array {
  const framed = Buffer.alloc(5 + message.length);
  framed.writeUInt32BE(message.length, 1);
  framed.set(message, 5);
  return framed;
}

/**
 * Closes a stream that has said its last, whether or not the other end has; it may never.
 *
 * On a later turn: in this one the reset would overtake what was written before it, and inside an
 * event of the same connection it would send Node's HTTP/2 into an endless loop.
 */
export function closeSoon(stream: ServerHttp2Stream): void {
  setImmediate(() => stream.close());
}
