/**
 * The sidecar: takes plain gRPC of any client, for any service, and puts each call on a session with
 * an enclave that the policy admits. It stands beside the client, on the client's side of the seal.
 */
import {
  constants,
  createSecureServer,
  createServer,
  type Http2SecureServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import type { Socket } from "node:net";

import { type ChannelCredentials, type ChannelOptions, status as Code } from "@grpc/grpc-js";

import { formatAddress, parseAddress } from "../../transport/address.ts";
import { isLocal } from "../../transport/local-address.ts";
import { listen, type Listener } from "../../transport/listen.ts";
import {
  AttestedChannel,
  type AttestedChannelOptions,
  type Policy,
  type PolicyOptions,
  type VerifiedEvidence,
} from "../client/index.ts";
import { completeLimits } from "../complete-limits.ts";
import { ByteBudget } from "../http2/byte-budget.ts";
import { readHeaderBlock } from "../http2/header-block.ts";
import {
  MAX_HEADER_BYTES,
  MAX_HEADER_FIELDS,
  MAX_SENT_HEADER_BYTES,
  WINDOW_BYTES,
} from "../http2/settings.ts";
import { parseTimeout } from "../http2/timeout.ts";
import { addStatus, answerOnly, responseBlock } from "./answer.ts";
import { Health } from "./health.ts";
import { DEFAULT_LIMITS, type SidecarLimits } from "./limits.ts";
import { type Logger, silentLogger } from "./logger.ts";

import { type CallContext, type CallRequest, SidecarCall } from "./sidecar-call.ts";

/** How clients are let in; PEM texts. */
export interface SidecarTls {
  readonly cert: string;
  readonly key: string;
}

/** What a sidecar is made of. */
export interface SidecarOptions {
  /** Where clients connect: a loopback address, or a Unix socket, which only this user may open. */
  readonly listen: string;
  /** A gRPC target: the enclave's proxy. */
  readonly target: string;
  /** What the enclave must prove. */
  readonly policy: Policy | PolicyOptions;
  /** Of the connection to the proxy: TLS, mTLS. @default insecure */
  readonly credentials?: ChannelCredentials | undefined;
  /** grpc-js's options of the connection to the proxy. */
  readonly channelOptions?: ChannelOptions | undefined;
  /** How many sessions are kept open. @default 1 */
  readonly sessions?: number | undefined;
  /** TLS toward clients. @default plaintext HTTP/2 */
  readonly tls?: SidecarTls | undefined;
  /** Lets it listen where other machines can connect, each of which then speaks as the client. */
  readonly insecureListenAnywhere?: boolean | undefined;
  readonly limits?: Partial<SidecarLimits> | undefined;
  readonly logger?: Logger | undefined;
}

/** A running sidecar. */
export interface Sidecar {
  /** The bound address. */
  readonly address: string;
  /** Whether {@link close} was called. */
  readonly isClosing: boolean;
  /**
   * The evidence of a session that a call would use now; makes one if there is none.
   *
   * @throws what a call would end with: AttestationError, ChannelError, TransportError.
   */
  ready(timeoutMs?: number): Promise<VerifiedEvidence>;
  /**
   * Replaces the policy, as `updatePolicy` of AttestedChannel does.
   *
   * @throws TypeError or RangeError for a policy that is none; the old one stays.
   */
  updatePolicy(policy: Policy | PolicyOptions): void;
  /**
   * Drains and stops: health says NOT_SERVING, clients get GOAWAY, and calls that are open after
   * `graceMs` (30,000 by default) end as UNAVAILABLE. A second call may shorten the grace.
   */
  close(graceMs?: number): Promise<void>;
}

const DEFAULT_READY_TIMEOUT_MS = 20_000;
const DEFAULT_GRACE_MS = 30_000;
/** What the last statuses get to reach their clients. */
const FAREWELL_MS = 250;

/**
 * Starts a sidecar. It resolves when clients can connect, whether or not the enclave can be reached.
 *
 * @throws TypeError or RangeError when an option is none, or the address is open to others;
 *   TransportError `unreachable` when it cannot be bound, and what node:tls throws of a key or
 *   certificate.
 */
export async function startSidecar(options: SidecarOptions): Promise<Sidecar> {
  const sidecar = new RunningSidecar(options);
  try {
    await sidecar.listen();
  } catch (error) {
    await sidecar.close(0);
    throw error;
  }
  return sidecar;
}

class RunningSidecar implements Sidecar {
  readonly #options: SidecarOptions;
  readonly #limits: SidecarLimits;
  readonly #logger: Logger;
  readonly #context: CallContext;
  readonly #health: Health;
  readonly #server: Http2Server | Http2SecureServer;
  readonly #sockets = new Set<Socket>();
  readonly #sessions = new Set<ServerHttp2Session>();
  #listener: Listener | undefined;
  #closing: Promise<void> | undefined;
  #isStopped = false;
  #endGrace: () => void = () => {};
  #onChange: () => void = () => {};

  constructor(options: SidecarOptions) {
    this.#options = options;
    this.#limits = completeLimits(DEFAULT_LIMITS, options.limits);
    this.#logger = options.logger ?? silentLogger;
    const address = parseAddress(options.listen);
    if (!isLocal(address) && options.insecureListenAnywhere !== true) {
      throw new TypeError(
        `${options.listen} is not a loopback address or a Unix socket: whoever can connect there ` +
          "speaks as the client; insecureListenAnywhere (--insecure-listen-anywhere) allows it",
      );
    }
    this.#server = createHttp2Server(this.#limits, options.tls);
    this.#server.on("session", (session: ServerHttp2Session) => this.#enter(session));
    this.#server.on("stream", this.#accept);
    this.#server.on("tlsClientError", ({ message }: Error, { remoteAddress }: Socket) =>
      this.#logger.debug({ peer: remoteAddress, reason: message }, "TLS refused"),
    );
    const channel = new AttestedChannel(options.target, this.#channelOptions());
    this.#health = new Health(channel);
    this.#context = {
      channel,
      budget: new ByteBudget(this.#limits.maxBufferedBytes),
      maxMessageBytes: this.#limits.maxMessageBytes,
      calls: new Set(),
    };
  }

  get address(): string {
    return this.#listener === undefined ? "" : formatAddress(this.#listener.address);
  }

  get isClosing(): boolean {
    return this.#closing !== undefined;
  }

  async ready(timeoutMs: number = DEFAULT_READY_TIMEOUT_MS): Promise<VerifiedEvidence> {
    return this.#context.channel.ready(timeoutMs);
  }

  updatePolicy(policy: Policy | PolicyOptions): void {
    this.#context.channel.updatePolicy(policy);
  }

  async listen(): Promise<void> {
    this.#listener = await listen(
      parseAddress(this.#options.listen),
      (socket) => this.#admit(socket),
      {
        mode: 0o700,
        onAcceptError: ({ message }) =>
          this.#logger.warn({ reason: message }, "cannot accept a connection"),
      },
    );
  }

  async close(graceMs: number = DEFAULT_GRACE_MS): Promise<void> {
    this.#closing ??= this.#drain();
    const timer = setTimeout(this.#endGrace, graceMs);
    try {
      await this.#closing;
    } finally {
      clearTimeout(timer);
    }
  }

  #channelOptions(): AttestedChannelOptions {
    const { policy, credentials, channelOptions, sessions } = this.#options;
    return {
      policy,
      maxReceiveMessageBytes: this.#limits.maxMessageBytes,
      maxBufferedBytes: this.#limits.maxBufferedBytes,
      ...(credentials === undefined ? {} : { credentials }),
      ...(channelOptions === undefined ? {} : { channelOptions }),
      ...(sessions === undefined ? {} : { sessions }),
    };
  }

  #admit(socket: Socket): void {
    socket.on("error", () => {});
    if (this.#closing !== undefined || this.#sockets.size >= this.#limits.maxConnections) {
      const reason = this.#closing === undefined ? "too many connections" : "draining";
      this.#logger.debug({ peer: socket.remoteAddress, reason }, "connection refused");
      socket.destroy();
      return;
    }
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
    this.#server.emit("connection", socket);
  }

  #enter(session: ServerHttp2Session): void {
    this.#sessions.add(session);
    const peer = session.socket.remoteAddress;
    session.on("error", ({ message }: Error) =>
      this.#logger.debug({ peer, reason: message }, "a client's connection failed"),
    );
    session.once("close", () => {
      this.#sessions.delete(session);
      this.#onChange();
    });
    session.setLocalWindowSize(WINDOW_BYTES);
    if (this.#closing !== undefined) session.close();
  }

  readonly #accept = (
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    _flags: number,
    raw: readonly string[],
  ): void => {
    // Whatever it is, `close` follows.
    stream.on("error", () => {});
    const path = headers[":path"];
    if (headers[":method"] !== "POST" || !isGrpc(headers["content-type"]) || path === undefined) {
      answerOnly(stream, { ":status": 415 });
    } else if (
      !this.#health.accept(stream, path, () => this.#forward(stream, path, headers, raw))
    ) {
      this.#forward(stream, path, headers, raw);
    }
  };

  #forward(
    stream: ServerHttp2Stream,
    method: string,
    headers: IncomingHttpHeaders,
    raw: readonly string[],
  ): void {
    if (this.#isStopped) {
      // Nothing was sealed, so the client may send it elsewhere.
      stream.close(constants.NGHTTP2_REFUSED_STREAM);
      return;
    }
    const authority = headers[":authority"];
    let request: CallRequest;
    try {
      const block = readHeaderBlock(raw);
      request = { method, authority, block, deadlineMs: deadlineOf(block.timeout) };
    } catch (error) {
      const { message } = error as Error;
      answerOnly(stream, addStatus(responseBlock(), Code.INTERNAL, message));
      return;
    }
    new SidecarCall(stream, request, this.#context).start();
  }

  async #drain(): Promise<void> {
    const { channel, calls } = this.#context;
    const grace = new Promise<void>((resolve) => {
      this.#endGrace = resolve;
    });
    await this.#listener?.close();
    this.#health.drain();
    for (const session of this.#sessions) session.close();
    await Promise.race([grace, this.#until(() => this.#sessions.size === 0)]);
    for (const call of calls) call.stop();
    const farewell = new Promise<void>((resolve) => {
      setTimeout(resolve, FAREWELL_MS).unref();
    });
    await Promise.race([farewell, this.#until(() => this.#sessions.size === 0)]);
    this.#isStopped = true;
    for (const session of this.#sessions) session.destroy();
    for (const socket of this.#sockets) socket.destroy();
    channel.close();
  }

  async #until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      await new Promise<void>((resolve) => {
        this.#onChange = resolve;
      });
    }
  }
}

function createHttp2Server(
  limits: SidecarLimits,
  tls: SidecarTls | undefined,
): Http2Server | Http2SecureServer {
  const options = {
    // Bounded by window and limits for each call, and by the budget over all.
    maxSessionMemory: Number.MAX_SAFE_INTEGER,
    maxHeaderListPairs: MAX_HEADER_FIELDS,
    maxSendHeaderBlockLength: MAX_SENT_HEADER_BYTES,
    // A client may cancel as many calls at once as it may have.
    streamResetBurst: 2 * limits.maxCallsPerConnection,
    streamResetRate: 2 * limits.maxCallsPerConnection,
    settings: {
      initialWindowSize: WINDOW_BYTES,
      maxConcurrentStreams: limits.maxCallsPerConnection,
      maxHeaderListSize: MAX_HEADER_BYTES,
    },
  };
  return tls === undefined
    ? createServer(options)
    : createSecureServer({ ...options, ...tls, allowHTTP1: false, minVersion: "TLSv1.2" });
}

/** @throws RangeError for a text that is no timeout. */
function deadlineOf(timeout: string | undefined): number {
  if (timeout === undefined) return Infinity;
  const timeoutMs = parseTimeout(timeout);
  if (timeoutMs === undefined) throw new RangeError("grpc-timeout is not a timeout");
  return performance.now() + timeoutMs;
}

function isGrpc(contentType: string | undefined): boolean {
  return contentType !== undefined && /^application\/grpc(?:$|[+;])/.test(contentType);
}
