/**
 * A client of an enclave that a test controls message by message: raw HTTP/2, the real handshake,
 * the real session, and nothing of the client's own service in between.
 */
import { connect } from "node:http2";
import type {
  ClientHttp2Session,
  ClientHttp2Stream,
  IncomingHttpHeaders,
  Settings,
} from "node:http2";

import type { CallEnd } from "../../channel/call-events.ts";
import type { ResponseHeader } from "../../channel/call-message.ts";
import type { ClientCall, OpenOptions } from "../../channel/client-call.ts";
import { ClientHandshake } from "../../channel/client-handshake.ts";
import type { ClientHandshakeOptions } from "../../channel/client-handshake.ts";
import type { ChannelError } from "../../channel/errors.ts";
import { encodeRecordMessage, parseOuter } from "../../channel/outer-message.ts";
import { Session } from "../../channel/session.ts";
import { nodeBackend } from "../../crypto/node.ts";
import { SessionDriver } from "../../services/grpc/session-driver.ts";
import type { OuterStream } from "../../services/grpc/session-driver.ts";
import { parseAddress } from "../../transport/address.ts";
import { dial } from "../../transport/dial.ts";

const PATH = "/sealrpc.v1.AttestedChannelService/Connect";
const HEADERS = { ":method": "POST", ":path": PATH, "content-type": "application/grpc" };

/** How a stream ended: the status of its trailers, or of its only headers. */
export interface StreamEnd {
  readonly status: number | undefined;
  readonly message: string | undefined;
  readonly httpStatus: unknown;
}

/** One HTTP/2 connection to an enclave. */
export class RawClient {
  readonly connection: ClientHttp2Session;

  private constructor(connection: ClientHttp2Session) {
    this.connection = connection;
  }

  static async dial(address: string, settings: Settings = {}): Promise<RawClient> {
    const socket = await dial(parseAddress(address));
    const connection = connect("http://enclave", { createConnection: () => socket, settings });
    connection.on("error", () => {});
    return new RawClient(connection);
  }

  stream(headers: Record<string, string> = {}): RawStream {
    return new RawStream(this.connection.request({ ...HEADERS, ...headers }));
  }

  /** A whole handshake, and the session after it. */
  async session(options: Pick<ClientHandshakeOptions, "verify" | "attest">): Promise<RawSession> {
    const stream = this.stream();
    const handshake = new ClientHandshake({
      backend: nodeBackend,
      suites: [1],
      initialCredit: 262_144,
      ...options,
    });
    stream.send(handshake.hello());
    stream.send(await handshake.receiveHello(await stream.next()));
    const established = handshake.receiveFinish(await stream.next());
    return new RawSession(stream, (events) => {
      const nowMs = performance.now();
      return new Session({ role: "client", backend: nodeBackend, established, events, nowMs });
    });
  }

  close(): void {
    this.connection.destroy();
  }
}

/** One outer stream, as messages. */
export class RawStream {
  readonly http2: ClientHttp2Stream;
  readonly ended: Promise<StreamEnd>;
  /** Called for each message when set; otherwise they wait for `next`. */
  onMessage: ((message: Uint8Array) => void) | undefined;
  #received = Buffer.alloc(0);
  readonly #messages: Uint8Array[] = [];
  #wake: (() => void) | undefined;
  #isOver = false;

  constructor(http2: ClientHttp2Stream) {
    this.http2 = http2;
    let headers: IncomingHttpHeaders = {};
    let trailers: IncomingHttpHeaders = {};
    http2.on("response", (received) => (headers = received));
    http2.on("trailers", (received: IncomingHttpHeaders) => (trailers = received));
    http2.on("data", (chunk: Buffer) => this.#read(chunk));
    http2.on("error", () => {});
    this.ended = new Promise((resolve) => {
      http2.on("close", () => {
        this.#isOver = true;
        this.#wake?.();
        const status = trailers["grpc-status"] ?? headers["grpc-status"];
        const message = trailers["grpc-message"] ?? headers["grpc-message"];
        resolve({
          status: status === undefined ? undefined : Number(status),
          message: typeof message === "string" ? message : undefined,
          httpStatus: headers[":status"],
        });
      });
    });
  }

  /** Sends one outer message. */
  send(message: Uint8Array): void {
    const prefix = Buffer.alloc(5);
    prefix.writeUInt32BE(message.length, 1);
    this.http2.write(Buffer.concat([prefix, message]));
  }

  /** Whether no message waits. */
  get isUnanswered(): boolean {
    return this.#messages.length === 0;
  }

  async next(): Promise<Uint8Array> {
    for (;;) {
      const message = this.#messages.shift();
      if (message !== undefined) return message;
      if (this.#isOver) throw new Error(`the stream ended: ${JSON.stringify(await this.ended)}`);
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  #read(chunk: Buffer): void {
    this.#received = Buffer.concat([this.#received, chunk]);
    while (this.#received.length >= 5) {
      const end = 5 + this.#received.readUInt32BE(1);
      if (this.#received.length < end) return;
      const message = this.#received.subarray(5, end);
      this.#received = this.#received.subarray(end);
      if (this.onMessage !== undefined) this.onMessage(message);
      else this.#messages.push(message);
    }
    this.#wake?.();
  }
}

/** What came of one call. */
export interface Answer {
  readonly header: ResponseHeader | undefined;
  readonly messages: Uint8Array[];
  readonly end: CallEnd;
}

/** A call whose parts are sent by hand and whose answer is collected. */
export interface RawCall {
  readonly call: ClientCall;
  readonly answer: Promise<Answer>;
  readonly messages: Uint8Array[];
}

/** A session at the client's end. */
export class RawSession implements OuterStream {
  readonly stream: RawStream;
  readonly session: Session;
  /** The error that the session ended with, if any. */
  readonly closed: Promise<ChannelError | undefined>;
  draining = false;
  readonly #driver = new SessionDriver(this);

  constructor(
    stream: RawStream,
    create: (events: ConstructorParameters<typeof Session>[0]["events"]) => Session,
  ) {
    this.stream = stream;
    let ended: (error: ChannelError | undefined) => void = () => {};
    this.closed = new Promise((resolve) => (ended = resolve));
    this.session = create({
      onOutput: this.#driver.onOutput,
      onDraining: () => (this.draining = true),
      onClosed: (error) => {
        this.#driver.close();
        ended(error);
      },
    });
    stream.onMessage = (message) => this.#driver.receive(parseOuter(message).body);
    stream.http2.on("close", () => this.session.receiveStreamEnd(performance.now()));
    this.#driver.drive(this.session);
  }

  /** Opens a call and reads all that comes. */
  open(method: string, options: Partial<OpenOptions> = {}): RawCall {
    const messages: Uint8Array[] = [];
    let header: ResponseHeader | undefined;
    let resolve: (answer: Answer) => void = () => {};
    const answer = new Promise<Answer>((resolved) => (resolve = resolved));
    const call = this.session.open(
      { method: `/behavior.v1.BehaviorService/${method}`, metadata: [], ...options },
      {
        onHeaders: (received) => (header = received),
        onMessage: (message) => {
          messages.push(message);
          call.read();
        },
        onEnd: (end) => resolve({ header, messages, end }),
      },
    );
    call.read();
    return { call, answer, messages };
  }

  /** One message up, half-close, and the whole answer. */
  async unary(
    method: string,
    message: Uint8Array,
    options: Partial<OpenOptions> = {},
  ): Promise<Answer> {
    const { call, answer } = this.open(method, options);
    call.sendMessage(message);
    call.halfClose();
    return answer;
  }

  unwrittenBytes(): number {
    return this.stream.http2.writableLength;
  }

  write(buffer: Uint8Array): void {
    if (this.stream.http2.destroyed) return;
    this.stream.http2.write(encodeRecordMessage(buffer, true), () => this.#driver.resume());
  }

  end(): void {
    this.stream.http2.end();
  }
}
