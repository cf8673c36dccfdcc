/**
 * The enclave's outer end: HTTP/2 on whatever sockets come in, and on it the one method that the
 * host may know of (docs/protocol.md §3).
 */
import { constants, createServer } from "node:http2";
import type {
  Http2Server,
  IncomingHttpHeaders,
  ServerHttp2Session,
  ServerHttp2Stream,
} from "node:http2";
import type { Socket } from "node:net";

import { answerOnly, closeSoon, SESSION_ERROR } from "./connect-stream.ts";

const CONNECT_PATH = "/sealrpc.v1.AttestedChannelService/Connect";
const GRPC_CONTENT_TYPE = /^application\/grpc(?:$|[+;])/i;
const MAX_HEADER_BYTES = 16 * 1024;
const MAX_HEADER_FIELDS = 64;
/**
 * What a proxy may have on its way. This end does not read while it waits to write, and the kernel
 * may hold less: that is well while the proxy reads whatever its own writes do.
 */
const WINDOW_BYTES = 512 * 1024;
/** How long connections may take to close in order. */
const CLOSE_MS = 1_000;

/** Takes connections and gives the streams that are meant for a session. */
export class OuterServer {
  readonly #server: Http2Server;
  readonly #connections = new Set<ServerHttp2Session>();

  constructor(maxStreams: number, onConnect: (stream: ServerHttp2Stream) => void) {
    this.#server = createServer({
      settings: {
        enablePush: false,
        initialWindowSize: WINDOW_BYTES,
        maxConcurrentStreams: maxStreams,
        maxHeaderListSize: MAX_HEADER_BYTES,
      },
      maxHeaderListPairs: MAX_HEADER_FIELDS,
      // Node's own limit ends streams that do no harm; what is unwritten is bounded by the driver.
      maxSessionMemory: Number.MAX_SAFE_INTEGER,
    });
    this.#server.on("session", (connection) => {
      this.#connections.add(connection);
      connection.setLocalWindowSize(WINDOW_BYTES);
      connection.on("close", () => this.#connections.delete(connection));
    });
    // A connection that failed takes its streams with it, and they tell their sessions.
    this.#server.on("sessionError", () => {});
    this.#server.on("stream", (stream, headers) => {
      if (accepts(stream, headers)) onConnect(stream);
    });
  }

  readonly accept = (socket: Socket): void => {
    socket.on("error", () => {});
    this.#server.emit("connection", socket);
  };

  /** Closes all connections, by force those whose streams do not end soon. */
  async close(): Promise<void> {
    const closing = [...this.#connections].map(
      (connection) =>
        new Promise<void>((resolve) => {
          const timer = setTimeout(() => connection.destroy(), CLOSE_MS);
          connection.on("close", () => {
            clearTimeout(timer);
            resolve();
          });
          if (connection.destroyed) resolve();
          else connection.close();
        }),
    );
    await Promise.all(closing);
  }
}

/** Whether this is a call of Connect; anything else has been answered. */
function accepts(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): boolean {
  if (!GRPC_CONTENT_TYPE.test(headers["content-type"] ?? "")) {
    stream.respond(
      { ":status": constants.HTTP_STATUS_UNSUPPORTED_MEDIA_TYPE },
      { endStream: true },
    );
    stream.on("error", () => {});
    closeSoon(stream);
    return false;
  }
  const encoding = headers["grpc-encoding"] ?? "identity";
  if (
    headers[":method"] !== "POST" ||
    headers[":path"] !== CONNECT_PATH ||
    encoding !== "identity"
  ) {
    stream.on("error", () => {});
    answerOnly(stream, SESSION_ERROR);
    return false;
  }
  return true;
}
