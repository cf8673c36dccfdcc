/**
 * One front connection: an HTTP/2 session on an early-acknowledging socket, whose streams go to the
 * enclave or to the proxy's own health service. A client that does not greet, does not read or asks
 * for too much is refused or cut off, and nobody else notices.
 */
import {
  constants,
  performServerHandshake,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import type { Socket } from "node:net";
import type { BufferBudget } from "./buffer-budget.ts";
import { EarlyAckSocket } from "./early-ack-socket.ts";
import { ENCLAVE_WINDOW_BYTES } from "./enclave-connection.ts";
import type { EnclavePool } from "./enclave-pool.ts";
import { ForwardedStream } from "./forward-stream.ts";
import { CONNECT_PATH, type RequestHeaders, STATUS, trailersOnly } from "./header.ts";
import { type Health, HEALTH_CHECK_PATH, HEALTH_WATCH_PATH } from "./health.ts";
import { MAX_HEADER_BYTES, MAX_HEADER_FIELDS, PAUSE_BYTES, type ProxyLimits } from "./limits.ts";
import type { Logger } from "./logger.ts";
import type { PeerLimits } from "./peer-limits.ts";

/** What the front connections of one proxy share. */
export interface FrontContext {
  readonly pool: EnclavePool;
  readonly budget: BufferBudget;
  readonly health: Health;
  readonly peers: PeerLimits;
  readonly limits: ProxyLimits;
  readonly logger: Logger;
  /** Milliseconds until a connection must have sent its HTTP/2 SETTINGS. */
  readonly greetingTimeoutMs: number;
  /** A forwarded stream is over. */
  readonly onStreamClose: () => void;
  /** What a client may have on its way to us on one stream. */
  readonly windowBytes: number;
}

const { NGHTTP2_FLAG_END_STREAM } = constants;

/** Milliseconds that a peer may leave waiting bytes unread. */
const STALL_TIMEOUT_MS = 60_000;

/** Milliseconds of silence until a peer is pinged, and again until it is cut off. */
const SILENCE_MS = 60_000;

/** What one stream can add to the socket's queue after it was told to pause, counted generously. */
const QUEUE_BYTES_PER_STREAM = 2 * (PAUSE_BYTES + ENCLAVE_WINDOW_BYTES);
const QUEUE_BYTES = 1024 * 1024;

/** A front connection, until `onClose`. */
export class FrontConnection {
  readonly #context: FrontContext;
  readonly #socket: EarlyAckSocket;
  readonly #session: ServerHttp2Session;
  readonly #forwarded = new Set<ForwardedStream>();
  readonly #paused = new Set<ForwardedStream>();
  #streams = 0;
  #writtenBytes = 0;
  #writtenMs = performance.now();
  #readBytes = 0;
  #readMs = performance.now();
  #probed = false;

  constructor(socket: Socket, context: FrontContext, onClose: () => void) {
    this.#context = context;
    this.#socket = new EarlyAckSocket(socket, {
      holdBytes: () => QUEUE_BYTES + this.#streams * QUEUE_BYTES_PER_STREAM,
      pauseBytes: PAUSE_BYTES,
    });
    this.#socket.onRoom = () => {
      for (const stream of this.#paused) {
        stream.resumeDownload();
      }
    };
    const session = performServerHandshake(this.#socket, {
      // Bounded by windowBytes for each stream, and by the buffer budget over all.
      maxSessionMemory: Number.MAX_SAFE_INTEGER,
      maxHeaderListPairs: MAX_HEADER_FIELDS,
      settings: {
        initialWindowSize: context.windowBytes,
        maxConcurrentStreams: context.limits.maxStreamsPerConnection,
        maxHeaderListSize: MAX_HEADER_BYTES,
      },
    });
    this.#session = session;
    // Node grants the connection's window back on arrival, so it bounds a round trip, not memory.
    session.setLocalWindowSize(2 * context.windowBytes);
    const greeting = setTimeout(
      () => this.#cut("no HTTP/2 SETTINGS came"),
      context.greetingTimeoutMs,
    );
    session.once("remoteSettings", () => clearTimeout(greeting));
    session.on("error", (error: Error) =>
      context.logger.debug({ peer: socket.remoteAddress, reason: error.message }, "front error"),
    );
    session.on(
      "stream",
      (stream: ServerHttp2Stream, headers: RequestHeaders, flags: number, raw: string[]) =>
        this.#accept(stream, headers, (flags & NGHTTP2_FLAG_END_STREAM) !== 0, raw),
    );
    session.once("close", () => {
      clearTimeout(greeting);
      onClose();
    });
  }

  /** Streams that are forwarded now. */
  get forwarded(): number {
    return this.#forwarded.size;
  }

  /** Bytes that wait in the socket. */
  get queuedBytes(): number {
    return this.#socket.queuedBytes;
  }

  /** Takes no more streams and tells the client so. */
  drain(): void {
    this.#session.close();
  }

  /** Gives every stream that is left its status. */
  stop(): void {
    for (const stream of this.#forwarded) {
      stream.stop();
    }
  }

  /**
   * Cuts off a peer that does not read though bytes wait, or that is silent and does not answer a
   * PING either. An application that is slow does not look like this: its HTTP/2 still reads, and
   * closes a window instead. To be called now and then.
   */
  checkProgress(nowMs: number): void {
    const { queuedBytes, readBytes, writtenBytes } = this.#socket;
    if (queuedBytes === 0 || writtenBytes !== this.#writtenBytes) {
      this.#writtenBytes = writtenBytes;
      this.#writtenMs = nowMs;
    } else if (nowMs - this.#writtenMs >= STALL_TIMEOUT_MS) {
      this.#cut("the peer does not read");
      return;
    }
    if (readBytes !== this.#readBytes) {
      this.#readBytes = readBytes;
      this.#readMs = nowMs;
      this.#probed = false;
    } else if (nowMs - this.#readMs >= 2 * SILENCE_MS) {
      this.#cut("the peer does not answer");
    } else if (nowMs - this.#readMs >= SILENCE_MS && !this.#probed) {
      this.#probed = true;
      this.#session.ping(() => {});
    }
  }

  #accept(
    stream: ServerHttp2Stream,
    headers: RequestHeaders,
    endStream: boolean,
    rawHeaders: readonly string[],
  ): void {
    stream.on("error", () => {});
    this.#streams += 1;
    stream.once("close", () => {
      this.#streams -= 1;
    });
    const path = headers[":path"] ?? "";
    if (headers[":method"] !== "POST" || !isGrpc(headers["content-type"])) {
      stream.respond({ ":status": 415 }, { endStream: true });
    } else if (path === CONNECT_PATH) {
      this.#forward(stream, headers, endStream, rawHeaders);
    } else if (path === HEALTH_CHECK_PATH || path === HEALTH_WATCH_PATH) {
      this.#context.health.answer(stream, path);
    } else {
      stream.respond(
        trailersOnly(STATUS.unimplemented, "this proxy forwards AttestedChannelService only"),
        { endStream: true },
      );
    }
  }

  #forward(
    stream: ServerHttp2Stream,
    headers: RequestHeaders,
    endStream: boolean,
    rawHeaders: readonly string[],
  ): void {
    const { pool, budget, peers } = this.#context;
    if (!peers.admitSession(this.#socket.remoteAddress, performance.now())) {
      stream.respond(
        trailersOnly(STATUS.resourceExhausted, "too many new sessions from this address"),
        { endStream: true },
      );
      return;
    }
    const forwarded = new ForwardedStream(stream, {
      pool,
      budget,
      socket: this.#socket,
      paused: this.#paused,
    });
    this.#forwarded.add(forwarded);
    stream.once("close", () => {
      this.#forwarded.delete(forwarded);
      this.#context.onStreamClose();
    });
    void forwarded.start(headers, rawHeaders, endStream);
  }

  #cut(reason: string): void {
    this.#context.logger.debug({ peer: this.#socket.remoteAddress, reason }, "front cut off");
    // With an error first: what waits for this peer need not leave.
    this.#socket.destroy(new Error(reason));
    this.#session.destroy();
  }
}

function isGrpc(contentType: string | undefined): boolean {
  return contentType !== undefined && /^application\/grpc(?:$|[+;])/.test(contentType);
}
