/**
 * One call of a foreign client: plain gRPC on an HTTP/2 stream on one side, a sealed call on the
 * other (docs/protocol.md §9). Only what the two ways say differently is looked at.
 */
import type { OutgoingHttpHeaders, ServerHttp2Stream } from "node:http2";

import { status as Code } from "@grpc/grpc-js";

import type {
  AttestedChannel,
  CallReceiver,
  CallStatus,
  ResponseHeader,
  SealedCall,
} from "../client/index.ts";
import { localTrailers } from "../client/index.ts";
import type { ByteBudget } from "../http2/byte-budget.ts";
import { addEncoding, addMetadata, emptyBlock, type HeaderBlock } from "../http2/header-block.ts";
import { MessageReader, type MessageSink } from "../http2/message-reader.ts";
import { MessageWriter } from "../http2/message-writer.ts";
import { addStatus, answerOnly, dropRequest, responseBlock } from "./answer.ts";
import { addFacts } from "./facts.ts";

/** What the calls of a sidecar share. */
export interface CallContext {
  readonly channel: AttestedChannel;
  readonly budget: ByteBudget;
  /** Of a message as it travels; -1 for any. */
  readonly maxMessageBytes: number;
  /** Those that are open. */
  readonly calls: Set<SidecarCall>;
}

/** What a call's header block asks for. */
export interface CallRequest {
  readonly method: string;
  readonly authority: string | undefined;
  readonly block: HeaderBlock;
  /** On the clock of performance.now(). */
  readonly deadlineMs: number;
}

const RESPOND = { waitForTrailers: true, sendDate: false };

export class SidecarCall implements CallReceiver, MessageSink {
  readonly #stream: ServerHttp2Stream;
  readonly #metadata: HeaderBlock["metadata"];
  readonly #calls: Set<SidecarCall>;
  readonly #sealed: SealedCall;
  readonly #reader: MessageReader;
  readonly #writer: MessageWriter;
  #trailers: OutgoingHttpHeaders | undefined;
  #isOver = false;

  /** @throws Error when the channel is closed. */
  constructor(stream: ServerHttp2Stream, request: CallRequest, context: CallContext) {
    const { method, authority, block, deadlineMs } = request;
    const { encoding } = block;
    this.#metadata = block.metadata;
    this.#stream = stream;
    this.#calls = context.calls;
    this.#sealed = context.channel.createRawCall({ method, authority, encoding, deadlineMs }, this);
    this.#reader = new MessageReader(stream, context.maxMessageBytes, context.budget, this);
    this.#writer = new MessageWriter(stream, context.budget, () => this.#sealed.read());
  }

  /** Takes over the stream, whose bytes were not read yet. */
  start(): void {
    const stream = this.#stream;
    this.#calls.add(this);
    stream.on("data", (chunk: Buffer) => this.#reader.read(chunk));
    stream.on("end", () => this.#requestEnded());
    stream.on("aborted", () => this.#cancel(Code.CANCELLED, "Cancelled by the client"));
    stream.on("wantTrailers", () => this.#sendTrailers());
    stream.on("close", () => this.#closed());
    this.#sealed.start(this.#metadata, false);
    this.#writer.ask();
  }

  /** Ends the call, because the sidecar stops. */
  stop(): void {
    this.#cancel(Code.UNAVAILABLE, "the sidecar is shutting down");
  }

  // What the client sends.

  takeMessage(message: Uint8Array, compressed: boolean, onTaken: () => void): void {
    this.#sealed.send(message, compressed, onTaken);
  }

  breakOff(code: Code, details: string): void {
    this.#cancel(code, details);
  }

  // What the sealed call brings.

  onHeaders({ metadata, encoding }: ResponseHeader): void {
    if (this.#isOver || this.#isGone) return;
    const block = responseBlock();
    try {
      addMetadata(block, metadata);
      addEncoding(block, encoding);
    } catch (error) {
      this.#cancel(Code.INTERNAL, (error as Error).message);
      return;
    }
    addFacts(block, this.#sealed.evidence);
    this.#stream.respond(block, RESPOND);
  }

  onMessage(message: Uint8Array, compressed: boolean): void {
    if (this.#isOver || this.#isGone) return;
    if (this.#writer.write(message, compressed)) this.#writer.ask();
    else this.#cancel(Code.RESOURCE_EXHAUSTED, "the sidecar's buffers are full");
  }

  onStatus(status: CallStatus): void {
    this.#isOver = true;
    this.#calls.delete(this);
    this.#reader.drop();
    const stream = this.#stream;
    if (this.#isGone) return;
    if (stream.headersSent) {
      this.#trailers = statusBlock(emptyBlock(), status);
      stream.end();
      return;
    }
    const block = statusBlock(responseBlock(), status);
    addFacts(block, this.#sealed.evidence);
    answerOnly(stream, block);
  }

  get #isGone(): boolean {
    return this.#stream.destroyed || this.#stream.closed;
  }

  #requestEnded(): void {
    // A reset ends the readable side too; it must not look like a finished request.
    if (this.#stream.aborted || this.#isOver) return;
    if (this.#reader.isInside) this.#cancel(Code.INTERNAL, "the request ended inside a message");
    else this.#sealed.halfClose();
  }

  #cancel(code: Code, details: string): void {
    if (!this.#isOver) this.#sealed.cancel(code, details);
  }

  #sendTrailers(): void {
    if (this.#isGone || this.#trailers === undefined) return;
    this.#stream.sendTrailers(this.#trailers);
    dropRequest(this.#stream);
  }

  #closed(): void {
    this.#cancel(Code.CANCELLED, "the client's stream was lost");
    this.#reader.drop();
    this.#writer.drop();
  }
}

function statusBlock(block: OutgoingHttpHeaders, status: CallStatus): OutgoingHttpHeaders {
  const { code, details, trailers } = status;
  try {
    addMetadata(block, trailers);
  } catch (error) {
    // Those that were added before it stay: they are legal.
    const failed = { ...status, code: Code.INTERNAL, details: (error as Error).message };
    return statusBlock(block, { ...failed, trailers: [] });
  }
  addStatus(block, code, details);
  for (const [key, value] of localTrailers(status)) block[key] = value;
  return block;
}
