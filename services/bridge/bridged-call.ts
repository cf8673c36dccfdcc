/**
 * One call inside the enclave: opened on one side (docs/protocol.md §9), plain gRPC to the
 * application on the other. What is said of a call that did not run is said only where it is certain.
 */
import {
  type ClientHttp2Stream,
  constants,
  type IncomingHttpHeaders,
  type IncomingHttpStatusHeader,
  type OutgoingHttpHeaders,
} from "node:http2";
import { addAbortSignal } from "node:stream";

import { status as Code } from "@grpc/grpc-js";

import type { EnclaveCallEvents } from "../../channel/call-events.ts";
import type { RequestHeader, Status } from "../../channel/call-message.ts";
import type { OpenCall, RawHandler } from "../enclave/index.ts";
import type { ByteBudget } from "../http2/byte-budget.ts";
import { readHeaderBlock } from "../http2/header-block.ts";
import { MessageReader, type MessageSink } from "../http2/message-reader.ts";
import { MessageWriter } from "../http2/message-writer.ts";
import { formatTimeout } from "../http2/timeout.ts";
import { requestBlock } from "./request-block.ts";
import type { Upstream, UpstreamCall } from "./upstream.ts";
import type { UpstreamConnection } from "./upstream-connection.ts";
import { ownStatus, statusOfBlock, statusOfHttp, statusOfReset } from "./upstream-status.ts";

/** What the calls of a bridge share. */
export interface CallContext {
  readonly upstream: Upstream;
  readonly budget: ByteBudget;
  /** Of an answer's message as it travels; -1 for any. */
  readonly maxMessageBytes: number;
}

/** How long after the end of an answer without a status a reset may come. */
const RESET_AFTER_END_MS = 100;

const ABORTED = AbortSignal.abort();

type ResponseHeaders = IncomingHttpHeaders & IncomingHttpStatusHeader;

const { NGHTTP2_FLAG_END_STREAM, NGHTTP2_NO_ERROR, NGHTTP2_REFUSED_STREAM } = constants;

/**
 * The application may have run the call, so nobody shall repeat it unasked: a negative pushback tells
 * that to the retry policies of gRPC's clients.
 */
const LOST: Status = {
  code: Code.UNAVAILABLE,
  message: "the connection to the application was lost",
  trailers: [{ key: "grpc-retry-pushback-ms", value: Buffer.from("-1") }],
};

export class BridgedCall implements EnclaveCallEvents, UpstreamCall, MessageSink {
  readonly #call: OpenCall;
  readonly #context: CallContext;
  #block: OutgoingHttpHeaders | undefined;
  #connection: UpstreamConnection | undefined;
  #stream: ClientHttp2Stream | undefined;
  #reader: MessageReader | undefined;
  #writer: MessageWriter | undefined;
  #hasAnswer = false;
  #endTimer: NodeJS.Timeout | undefined;
  #trailers: readonly string[] | undefined;
  #isOver = false;

  constructor(call: OpenCall, context: CallContext) {
    this.#call = call;
    this.#context = context;
  }

  /** First step: finds a way to the application, or refuses the call. */
  open(header: RequestHeader, caller: Parameters<RawHandler>[2]): void {
    try {
      this.#block = requestBlock(header, caller);
    } catch (error) {
      this.#refuse(Code.UNIMPLEMENTED, (error as Error).message);
      return;
    }
    this.#context.upstream.assign(this);
  }

  onConnection(connection: UpstreamConnection): void {
    if (this.#isOver || this.#block === undefined) return;
    const { deadlineMs } = this.#call;
    const nowMs = performance.now();
    if (!this.#call.start(false, nowMs)) {
      this.#isOver = true;
      return;
    }
    if (deadlineMs !== Infinity) this.#block["grpc-timeout"] = formatTimeout(deadlineMs - nowMs);
    let stream: ClientHttp2Stream;
    try {
      stream = connection.request(this.#block);
    } catch {
      // The connection began to drain in this very turn.
      this.#refuseStarted();
      return;
    }
    this.#connection = connection;
    this.#join(stream);
  }

  onRefused(reason: string): void {
    if (!this.#isOver) this.#refuse(Code.UNAVAILABLE, reason);
  }

  // What the client sends.

  onMessage(message: Uint8Array, compressed: boolean): void {
    const writer = this.#writer;
    if (this.#isOver || writer === undefined || this.#stream?.destroyed !== false) return;
    if (writer.write(message, compressed)) writer.ask();
    else this.breakOff(Code.RESOURCE_EXHAUSTED, "the bridge's buffers are full");
  }

  onHalfClose(): void {
    if (!this.#isOver) this.#stream?.end();
  }

  onCancel(): void {
    this.#isOver = true;
    this.#context.upstream.forget(this);
    this.#abort();
  }

  // What the application sends.

  takeMessage(message: Uint8Array, compressed: boolean, onTaken: () => void): void {
    this.#call.sendMessage(message, compressed, onTaken);
  }

  breakOff(code: Code, details: string): void {
    this.#giveUp(ownStatus(code, details));
  }

  #join(stream: ClientHttp2Stream): void {
    const { budget, maxMessageBytes } = this.#context;
    this.#stream = stream;
    this.#reader = new MessageReader(stream, maxMessageBytes, budget, this);
    this.#writer = new MessageWriter(stream, budget, () => this.#call.read());
    // Whatever it is, `close` follows.
    stream.on("error", () => {});
    stream.once("response", (headers: ResponseHeaders, flags: number, raw: string[]) =>
      this.#answered(headers, (flags & NGHTTP2_FLAG_END_STREAM) !== 0, raw),
    );
    stream.once("trailers", (_headers: IncomingHttpHeaders, _flags: number, raw: string[]) => {
      this.#trailers = raw;
    });
    stream.once("end", () => this.#answerEnded());
    stream.once("close", () => this.#closed());
    this.#writer.ask();
  }

  #answered(headers: ResponseHeaders, isLast: boolean, raw: readonly string[]): void {
    if (this.#isOver) return;
    this.#hasAnswer = true;
    const status = headers[":status"] ?? 0;
    if (isLast) {
      this.#stream?.resume();
      this.#endWith(raw, status);
    } else if (status !== 200 || !isGrpc(headers["content-type"])) {
      this.#giveUp(statusOfHttp(status));
    } else {
      try {
        const { metadata, encoding } = readHeaderBlock(raw);
        this.#call.sendHeaders({ metadata, encoding });
      } catch (error) {
        this.breakOff(Code.INTERNAL, (error as Error).message);
        return;
      }
      this.#stream?.on("data", (chunk: Buffer) => this.#reader?.read(chunk));
    }
  }

  #answerEnded(): void {
    if (this.#isOver || this.#stream?.aborted === true) return;
    if (this.#trailers === undefined) {
      // Some end the stream before they reset it, and then the reset's code is the answer.
      this.#endTimer = setTimeout(() => this.#settle(), RESET_AFTER_END_MS);
    } else if (this.#reader?.isInside === true) {
      this.breakOff(Code.INTERNAL, "the application's answer ended inside a message");
    } else {
      this.#endWith(this.#trailers, 200);
    }
  }

  /** Ends the call with the status that a block has, or with what HTTP's stands for. */
  #endWith(raw: readonly string[], httpStatus: number): void {
    let status: Status | undefined;
    try {
      status = statusOfBlock(readHeaderBlock(raw));
    } catch (error) {
      status = ownStatus(Code.INTERNAL, (error as Error).message);
    }
    this.#end(status ?? statusOfHttp(httpStatus));
  }

  #closed(): void {
    clearTimeout(this.#endTimer);
    this.#reader?.drop();
    this.#writer?.drop();
    this.#settle();
    this.#call.release();
  }

  /** The stream ended without a status. */
  #settle(): void {
    if (this.#isOver) return;
    const code = this.#stream?.rstCode ?? NGHTTP2_NO_ERROR;
    if (this.#connection?.isLost !== false) this.#giveUp(LOST);
    else if (code === NGHTTP2_REFUSED_STREAM && !this.#hasAnswer) this.#refuseStarted();
    else if (code !== NGHTTP2_NO_ERROR) this.#giveUp(statusOfReset(code));
    else this.breakOff(Code.INTERNAL, "the application's answer ended without a status");
  }

  #end(status: Status): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#call.end(status);
    // What the client still sends has no reader.
    if (this.#stream?.writableEnded === false) this.#abort();
  }

  /** The same, for an answer that is not finished. */
  #giveUp(status: Status): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#call.end(status);
    this.#abort();
  }

  /** Any other way of ending the stream would first end the request, as if it were whole. */
  #abort(): void {
    // A signal from the start, with its listeners, would cost a third of the whole call.
    if (this.#stream !== undefined) addAbortSignal(ABORTED, this.#stream);
  }

  #refuse(code: Code, details: string): void {
    this.#isOver = true;
    this.#call.refuse(ownStatus(code, details));
  }

  /** The application has not seen the call: HTTP/2 says so. */
  #refuseStarted(): void {
    if (this.#call.retract()) this.#refuse(Code.UNAVAILABLE, "the application takes no calls now");
    else this.#isOver = true;
  }
}

function isGrpc(contentType: string | undefined): boolean {
  return contentType !== undefined && /^application\/grpc(?:$|[+;])/.test(contentType);
}
