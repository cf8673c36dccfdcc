/** A client of plain gRPC made of bare HTTP/2, which can say what no gRPC library says. */
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  type OutgoingHttpHeaders,
} from "node:http2";
import { connect as connectSocket } from "node:net";
import { unframed } from "./framed.ts";

/** A field of a header block, as it was sent. */
export type Field = readonly [name: string, value: string];

/** All that came back on one stream. */
export interface PlainAnswer {
  readonly headers: readonly Field[];
  readonly messages: readonly { readonly message: Buffer; readonly compressed: boolean }[];
  /** Undefined when there were none: the headers are the trailers then. */
  readonly trailers: readonly Field[] | undefined;
}

export class PlainCall {
  readonly stream: ClientHttp2Stream;
  /** When the other side has ended the stream, or reset it. */
  readonly answer: Promise<PlainAnswer>;
  /** The HTTP/2 code with which the stream closed. */
  readonly closed: Promise<number>;
  readonly #abort: AbortController;

  constructor(stream: ClientHttp2Stream, abort: AbortController) {
    this.stream = stream;
    this.#abort = abort;
    let headers: Field[] = [];
    let trailers: Field[] | undefined;
    const data: Buffer[] = [];
    stream.on("error", () => {});
    stream.on("response", (_headers, _flags, raw?: string[]) => (headers = fieldsOf(raw ?? [])));
    stream.on("trailers", (_headers, _flags, raw?: string[]) => (trailers = fieldsOf(raw ?? [])));
    stream.on("data", (chunk: Buffer) => data.push(chunk));
    this.closed = new Promise((resolve) => stream.on("close", () => resolve(stream.rstCode ?? 0)));
    this.answer = new Promise((resolve) => {
      const answered = (): void =>
        resolve({ headers, messages: unframed(Buffer.concat(data)), trailers });
      stream.on("close", answered);
      stream.on("end", () => {
        if (trailers !== undefined || data.length === 0) answered();
      });
    });
  }

  /** Resets the stream without ending it first, as `stream.close` would. */
  reset(): void {
    this.#abort.abort();
  }
}

export class PlainClient {
  readonly session: ClientHttp2Session;

  private constructor(session: ClientHttp2Session) {
    this.session = session;
    session.on("error", () => {});
  }

  /** Connects to "host:port" or "unix:/path". */
  static async connect(address: string): Promise<PlainClient> {
    const path = address.startsWith("unix:") ? address.slice("unix:".length) : undefined;
    const [host = "", port] = address.split(":");
    const session = connect(`http://${path === undefined ? address : "localhost"}`, {
      maxSendHeaderBlockLength: 1 << 20,
      createConnection: () =>
        path === undefined
          ? connectSocket({ host, port: Number(port), noDelay: true })
          : connectSocket(path),
    });
    const client = new PlainClient(session);
    await new Promise((resolve) => session.once("remoteSettings", resolve));
    return client;
  }

  open(path: string, headers: OutgoingHttpHeaders = {}, endStream: boolean = false): PlainCall {
    const abort = new AbortController();
    const stream = this.session.request(
      {
        ":method": "POST",
        ":path": path,
        "content-type": "application/grpc",
        te: "trailers",
        ...headers,
      },
      { endStream, signal: abort.signal },
    );
    return new PlainCall(stream, abort);
  }

  close(): void {
    this.session.destroy();
  }
}

/** The values of a field. */
export function valuesOf(fields: readonly Field[] | undefined, name: string): readonly string[] {
  return (fields ?? []).filter(([key]) => key === name).map(([, value]) => value);
}

/** The status of an answer: from its trailers, or from its only block. */
export function statusOf({ headers, trailers }: PlainAnswer): { code: number; message: string } {
  const fields = trailers ?? headers;
  const [code = "-1"] = valuesOf(fields, "grpc-status");
  const [message = ""] = valuesOf(fields, "grpc-message");
  return { code: Number(code), message };
}

function fieldsOf(raw: readonly string[]): Field[] {
  return Array.from({ length: raw.length / 2 }, (_, i) => [raw[2 * i] ?? "", raw[2 * i + 1] ?? ""]);
}
