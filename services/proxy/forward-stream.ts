/**
 * Joins one stream of a front connection to one stream of the enclave: header blocks, DATA, status,
 * cancellation and resets, both ways. What the streams carry is never looked at, and no byte of it
 * is copied.
 */
import {
  type ClientHttp2Stream,
  constants,
  type IncomingHttpHeaders,
  type IncomingHttpStatusHeader,
  type OutgoingHttpHeaders,
  type ServerHttp2Stream,
} from "node:http2";
import type { BufferBudget } from "./buffer-budget.ts";
import type { EarlyAckSocket } from "./early-ack-socket.ts";
import type { EnclaveConnection } from "./enclave-connection.ts";
import { type EnclavePool, NoPlaceError } from "./enclave-pool.ts";
import {
  forwardedFields,
  forwardedRequest,
  forwardedStatus,
  type RequestHeaders,
  STATUS,
  statusFields,
  trailersOnly,
} from "./header.ts";
import { PAUSE_BYTES } from "./limits.ts";

/** What a forwarded stream shares with others. */
export interface ForwardContext {
  readonly pool: EnclavePool;
  readonly budget: BufferBudget;
  /** The socket of the front connection. */
  readonly socket: EarlyAckSocket;
  /** Called when the socket has room again. */
  readonly paused: Set<ForwardedStream>;
}

const LOST = "the connection to the enclave was lost";
/** What a client gets to stop sending after it was answered, in milliseconds. */
const LINGER_MS = 1000;
const ROOM_BYTES = PAUSE_BYTES / 2;
const {
  NGHTTP2_ENHANCE_YOUR_CALM,
  NGHTTP2_FLAG_END_STREAM,
  NGHTTP2_INTERNAL_ERROR,
  NGHTTP2_NO_ERROR,
} = constants;

/** One forwarded stream, from the client's header block to the end of both sides. */
export class ForwardedStream {
  readonly #front: ServerHttp2Stream;
  readonly #context: ForwardContext;
  readonly #abort = new AbortController();
  #connection: EnclaveConnection | undefined;
  #back: ClientHttp2Stream | undefined;
  #status: OutgoingHttpHeaders | undefined;
  #uploadPaused = false;
  #downloadPaused = false;
  /** The answer is given, or cannot be given: nothing more goes to the client. */
  #over = false;

  constructor(front: ServerHttp2Stream, context: ForwardContext) {
    this.#front = front;
    this.#context = context;
    front.on("error", () => {});
    front.once("close", () => this.#frontClosed());
  }

  /** Bytes that wait for either side. */
  get heldBytes(): number {
    const { readableLength, writableLength } = this.#front;
    const back = this.#back;
    return (
      readableLength +
      writableLength +
      (back === undefined ? 0 : back.readableLength + back.writableLength)
    );
  }

  /** Opens the stream to the enclave and begins to forward. Never throws: a failure is the client's status. */
  async start(
    headers: RequestHeaders,
    rawHeaders: readonly string[],
    endStream: boolean,
  ): Promise<void> {
    const { pool, budget } = this.#context;
    const request = forwardedRequest(headers, rawHeaders);
    // Until the enclave takes the stream, the client's bytes wait here.
    budget.add(this);
    try {
      const back = await this.#open(pool, request, endStream);
      if (back === undefined) {
        return;
      }
      budget.delete(this);
      this.#join(back, endStream);
    } catch (error) {
      budget.delete(this);
      if (error instanceof NoPlaceError) {
        this.#answer(error.code, error.message);
      } else {
        this.#answer(STATUS.internal, "the proxy cannot forward this header block");
      }
    }
  }

  /** Ends the stream because too much waits in the proxy and this stream holds most of it. */
  evict(): void {
    if (this.#over || this.#front.headersSent) {
      // What waits for the client goes too.
      this.#reset(NGHTTP2_ENHANCE_YOUR_CALM);
    } else {
      this.#answer(STATUS.resourceExhausted, "the proxy's buffers are full");
      this.#abort.abort();
    }
  }

  /** Ends the stream because the proxy stops. */
  stop(): void {
    this.#answer(STATUS.unavailable, "the proxy is shutting down");
    this.#abort.abort();
  }

  /** The front connection's socket has room. */
  resumeDownload(): void {
    if (
      this.#downloadPaused &&
      this.#front.writableLength <= ROOM_BYTES &&
      this.#context.socket.queuedBytes <= ROOM_BYTES
    ) {
      this.#downloadPaused = false;
      this.#context.paused.delete(this);
      this.#forgetIfFlowing();
      this.#back?.resume();
    }
  }

  /** Undefined when the client has gone meanwhile. */
  async #open(
    pool: EnclavePool,
    request: OutgoingHttpHeaders,
    endStream: boolean,
  ): Promise<ClientHttp2Stream | undefined> {
    for (let attempt = 1; ; attempt += 1) {
      const connection = await pool.reserve();
      if (this.#over || this.#front.destroyed) {
        connection.release();
        return undefined;
      }
      try {
        const back = connection.request(request, { endStream, signal: this.#abort.signal });
        back.once("close", () => connection.release());
        this.#connection = connection;
        return back;
      } catch (error) {
        connection.release();
        if (connection.hasRoom) {
          throw error;
        }
        // The connection was lost or began to drain in this very turn; another will do, once.
        if (attempt > 1) {
          throw new NoPlaceError(STATUS.unavailable, LOST);
        }
      }
    }
  }

  #join(back: ClientHttp2Stream, endStream: boolean): void {
    const front = this.#front;
    this.#back = back;
    back.on("error", () => {});
    back.once(
      "response",
      (headers: IncomingHttpHeaders & IncomingHttpStatusHeader, flags: number, raw: string[]) =>
        this.#responded(headers[":status"], (flags & NGHTTP2_FLAG_END_STREAM) !== 0, raw),
    );
    back.once("trailers", (_headers: IncomingHttpHeaders, _flags: number, raw: string[]) => {
      this.#status = forwardedStatus(raw);
    });
    back.once("end", () => this.#backEnded());
    back.once("close", () => this.#backClosed());
    front.once("wantTrailers", () => this.#sendTrailers());
    if (endStream) {
      return;
    }
    const finish = (): void => {
      // A reset also ends the readable side; it must not look like a finished upload.
      if (!front.aborted) {
        back.end();
      }
    };
    if (front.readableEnded) {
      finish();
    } else {
      front.on("data", this.#upload).once("end", finish);
    }
  }

  readonly #upload = (chunk: Buffer): void => {
    const back = this.#back;
    if (back === undefined || this.#over || back.destroyed) {
      return;
    }
    const waiting = back.writableLength + chunk.length;
    if (waiting <= ROOM_BYTES) {
      back.write(chunk);
      return;
    }
    back.write(chunk, this.#backHasRoom);
    if (waiting > PAUSE_BYTES && !this.#uploadPaused) {
      this.#uploadPaused = true;
      this.#front.pause();
      this.#context.budget.add(this);
    }
  };

  readonly #backHasRoom = (): void => {
    if (this.#uploadPaused && (this.#back?.writableLength ?? 0) <= ROOM_BYTES) {
      this.#uploadPaused = false;
      this.#forgetIfFlowing();
      this.#front.resume();
    }
  };

  readonly #download = (chunk: Buffer): void => {
    const front = this.#front;
    if (this.#over || front.destroyed) {
      return;
    }
    const waiting = front.writableLength + chunk.length;
    if (waiting <= ROOM_BYTES) {
      front.write(chunk);
    } else {
      front.write(chunk, this.#frontHasRoom);
    }
    if (waiting > PAUSE_BYTES || this.#context.socket.queuedBytes > PAUSE_BYTES) {
      this.#downloadPaused = true;
      this.#context.paused.add(this);
      this.#context.budget.add(this);
      this.#back?.pause();
    }
  };

  readonly #frontHasRoom = (): void => this.resumeDownload();

  #responded(status: number | undefined, endStream: boolean, raw: readonly string[]): void {
    if (this.#over) {
      return;
    }
    if (status !== 200) {
      this.#answer(STATUS.unavailable, `the enclave answered with HTTP status ${status ?? "none"}`);
      this.#abort.abort();
      return;
    }
    try {
      if (endStream) {
        this.#over = true;
        this.#front.respond({ ...forwardedStatus(raw), ":status": 200 }, { endStream: true });
        this.#dropUpload();
      } else {
        this.#front.respond({ ...forwardedFields(raw), ":status": 200 }, { waitForTrailers: true });
        // Not before: on a session over a duplex, DATA can be there before its header block.
        this.#back?.on("data", this.#download);
      }
    } catch {
      this.#reset(NGHTTP2_INTERNAL_ERROR);
    }
  }

  #backEnded(): void {
    if (this.#over) {
      return;
    }
    if (this.#status === undefined || !this.#front.headersSent) {
      // A lost connection also ends the stream, and a reset may follow the end at once: what
      // closes it then says more.
      setImmediate(() => this.#backClosed());
      return;
    }
    this.#endAnswer();
  }

  #backClosed(): void {
    if (this.#over) {
      return;
    }
    if (this.#connection?.lost === true) {
      this.#answer(STATUS.unavailable, LOST);
      return;
    }
    const code = this.#back?.rstCode ?? NGHTTP2_NO_ERROR;
    // Closed without a status and without an error is an answer that is not finished.
    this.#reset(code === NGHTTP2_NO_ERROR ? NGHTTP2_INTERNAL_ERROR : code);
  }

  #frontClosed(): void {
    this.#over = true;
    this.#settle();
    // Closing the stream would first end it, and a cancelled upload would look like a finished one.
    this.#abort.abort();
  }

  /** Gives a status of the proxy's own, in whatever form is still possible. */
  #answer(code: number, message: string): void {
    const front = this.#front;
    if (this.#over || front.destroyed || front.closed) {
      return;
    }
    if (front.headersSent) {
      this.#status = statusFields(code, message);
      this.#endAnswer();
    } else {
      this.#over = true;
      front.respond(trailersOnly(code, message), { endStream: true });
      this.#dropUpload();
    }
  }

  /** Nothing follows but the trailers. */
  #endAnswer(): void {
    this.#over = true;
    this.#front.end();
    if (this.#front.writableLength > 0) {
      // It counts until the client has taken it.
      this.#context.budget.add(this);
    }
  }

  #sendTrailers(): void {
    const front = this.#front;
    if (front.destroyed || front.closed || this.#status === undefined) {
      return;
    }
    try {
      front.sendTrailers(this.#status);
      this.#dropUpload();
    } catch {
      front.close(NGHTTP2_INTERNAL_ERROR);
    }
  }

  /**
   * The answer is complete, and what the client still sends has no reader. It will stop by itself;
   * a reset in this turn would overtake the trailers.
   */
  #dropUpload(): void {
    const front = this.#front;
    if (!front.readableEnded && !front.destroyed) {
      front.resume();
      const timer = setTimeout(() => front.close(NGHTTP2_NO_ERROR), LINGER_MS);
      front.once("close", () => clearTimeout(timer));
    }
    this.#abort.abort();
  }

  #reset(code: number): void {
    this.#over = true;
    if (!this.#front.destroyed && !this.#front.closed) {
      this.#front.close(code);
    }
    this.#abort.abort();
  }

  #settle(): void {
    this.#uploadPaused = false;
    this.#downloadPaused = false;
    this.#context.paused.delete(this);
    this.#context.budget.delete(this);
  }

  #forgetIfFlowing(): void {
    if (!this.#uploadPaused && !this.#downloadPaused) {
      this.#context.budget.delete(this);
    }
  }
}
