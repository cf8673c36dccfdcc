/** An application of bare HTTP/2 behind a bridge, which answers, or misbehaves, as a test says. */
import { EventEmitter, once } from "node:events";
import {
  createServer,
  type ServerHttp2Session,
  type ServerHttp2Stream,
  type ServerOptions,
} from "node:http2";
import type { AddressInfo, Socket } from "node:net";

/** One call, as the application has it. */
export class ApplicationCall {
  readonly stream: ServerHttp2Stream;
  /** Names and values, in order. */
  readonly raw: readonly string[];
  data: Buffer = Buffer.alloc(0);
  ended = false;
  aborted = false;
  readonly closed: Promise<void>;
  readonly #changes = new EventEmitter();

  constructor(stream: ServerHttp2Stream, raw: readonly string[]) {
    this.stream = stream;
    this.raw = raw;
    stream.on("error", () => {});
    this.closed = new Promise((resolve) => stream.on("close", () => resolve()));
    stream.on("data", (chunk: Buffer) => {
      this.data = Buffer.concat([this.data, chunk]);
      this.#changes.emit("change");
    });
    stream.on("end", () => {
      if (!stream.aborted) this.ended = true;
      this.#changes.emit("change");
    });
    stream.on("aborted", () => {
      this.aborted = true;
      this.#changes.emit("change");
    });
  }

  /** The values of a field, apart. */
  field(name: string): readonly string[] {
    return this.raw.filter((_, i) => i % 2 === 1 && this.raw[i - 1] === name);
  }

  async until(condition: (call: this) => boolean): Promise<void> {
    while (!condition(this)) await once(this.#changes, "change");
  }

  /** Answers with headers, data and trailers. */
  answer(
    data: Buffer,
    trailers: Readonly<Record<string, string>> = { "grpc-status": "0" },
    headers: Readonly<Record<string, string | readonly string[]>> = {},
  ): void {
    this.stream.respond(
      { ":status": 200, "content-type": "application/grpc", ...(headers as object) },
      { waitForTrailers: true },
    );
    this.stream.once("wantTrailers", () => this.stream.sendTrailers({ ...trailers }));
    this.stream.end(data);
  }
}

export class PlainApplication {
  readonly calls: ApplicationCall[] = [];
  readonly sessions: Set<ServerHttp2Session> = new Set();
  readonly #server: ReturnType<typeof createServer>;
  readonly #opened = new EventEmitter();
  readonly #sockets = new Set<Socket>();
  #port = 0;

  private constructor(options: ServerOptions) {
    this.#server = createServer(options);
    this.#server.on("connection", (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
    });
    this.#server.on("session", (session) => {
      this.sessions.add(session);
      session.on("error", () => {}).on("close", () => this.sessions.delete(session));
    });
    this.#server.on("sessionError", () => {});
    this.#server.on("stream", (stream, _headers, _flags, raw?: string[]) => {
      this.calls.push(new ApplicationCall(stream, raw ?? []));
      this.#opened.emit("open");
    });
  }

  /** Listens on a free port of the loopback. */
  static async start(options: ServerOptions = {}): Promise<PlainApplication> {
    const application = new PlainApplication(options);
    await application.up();
    return application;
  }

  get address(): string {
    return `127.0.0.1:${this.#port}`;
  }

  /** The call of that number, from 1 on; waits for it. */
  async call(number: number = this.calls.length + 1): Promise<ApplicationCall> {
    while (this.calls.length < number) await once(this.#opened, "open");
    const call = this.calls[number - 1];
    if (call === undefined) throw new Error("no call");
    return call;
  }

  /** Listens, at the same port as before. */
  async up(): Promise<void> {
    this.#server.listen(this.#port, "127.0.0.1");
    await once(this.#server, "listening");
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  /** Cuts every connection and takes no new one. */
  async down(): Promise<void> {
    this.#server.close();
    this.cut();
    await once(this.#server, "close");
  }

  /** Cuts every connection; new ones are taken. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }
}
