/**
 * Both ends of a two-way flood over raw HTTP/2, and the plain proxy that a flood is compared with:
 * streams piped between two sessions on bare sockets.
 */
import {
  type ClientHttp2Session,
  connect,
  createServer,
  type Http2Server,
  type Http2Stream,
  type ServerHttp2Session,
} from "node:http2";
import { connect as connectSocket } from "node:net";
import { CONNECT_PATH } from "../../services/proxy/header.ts";

/** What `EnclaveServer` grants. */
const ENCLAVE_WINDOW_BYTES = 512 * 1024;
const CHUNK = Buffer.alloc(64 * 1024, "flood");

/** Bytes that arrived, by direction. */
export interface FloodCounts {
  up: number;
  down: number;
}

/** Writes to a stream for as long as it lives, as fast as it takes it. */
function pour(stream: Http2Stream): void {
  const more = (): void => {
    while (stream.writable && stream.write(CHUNK)) {
      // Until the stream says that it has enough.
    }
  };
  stream.on("drain", more).on("error", () => {});
  more();
}

export interface FloodServer {
  readonly port: number;
  close(): void;
}

async function serve(server: Http2Server, listen: number | string = 0): Promise<FloodServer> {
  const sessions = new Set<ServerHttp2Session>();
  server.on("session", (session) => {
    sessions.add(session);
    session.on("error", () => {}).on("close", () => sessions.delete(session));
  });
  server.on("sessionError", () => {});
  await new Promise<void>((resolve) => {
    server.listen(listen, resolve);
  });
  const bound = server.address();
  return {
    port: typeof bound === "object" && bound !== null ? bound.port : 0,
    close: () => {
      for (const session of sessions) {
        session.destroy();
      }
      server.close();
    },
  };
}

/** An enclave that takes everything and sends without end on every stream. */
export async function startFloodEnclave(
  counts: FloodCounts,
  listen?: string,
): Promise<FloodServer> {
  const server = createServer({
    maxSessionMemory: Number.MAX_SAFE_INTEGER,
    settings: { initialWindowSize: ENCLAVE_WINDOW_BYTES },
  });
  server.on("session", (session) => session.setLocalWindowSize(ENCLAVE_WINDOW_BYTES));
  server.on("stream", (stream) => {
    stream.on("data", (chunk: Buffer) => {
      counts.up += chunk.length;
    });
    stream.respond({ ":status": 200, "content-type": "application/grpc" });
    pour(stream);
  });
  return serve(server, listen);
}

/** A proxy without any of ours: sessions on bare sockets, a wide window in front, streams piped. */
export async function startBareProxy(
  target: { port: number } | { path: string },
  windowBytes: number,
): Promise<FloodServer> {
  const back = connect("http://enclave", {
    createConnection: () => connectSocket({ ...target, noDelay: true }),
    maxSessionMemory: Number.MAX_SAFE_INTEGER,
    settings: { initialWindowSize: 128 * 1024, enablePush: false },
  });
  back.on("error", () => {});
  back.once("connect", () => back.setLocalWindowSize(128 * 1024));
  const server = createServer({
    maxSessionMemory: Number.MAX_SAFE_INTEGER,
    settings: { initialWindowSize: windowBytes },
  });
  server.on("session", (session) => session.setLocalWindowSize(2 * windowBytes));
  server.on("stream", (stream, headers) => {
    const request = back.request({ ":method": "POST", ":path": headers[":path"] ?? "" });
    request.on("error", () => stream.destroy());
    stream.on("error", () => request.destroy());
    request.once("response", (answer) => stream.respond({ ":status": answer[":status"] ?? 200 }));
    stream.pipe(request);
    request.pipe(stream);
  });
  const front = await serve(server);
  return {
    port: front.port,
    close: () => {
      back.destroy();
      front.close();
    },
  };
}

/** Opens `streams` floods through a proxy, on one connection. */
export async function startFlood(
  target: { port: number } | { path: string },
  counts: FloodCounts,
  { streams, windowBytes }: { streams: number; windowBytes: number },
): Promise<ClientHttp2Session> {
  const session = connect("http://proxy", {
    createConnection: () => connectSocket({ ...target, noDelay: true }),
    maxSessionMemory: Number.MAX_SAFE_INTEGER,
    settings: { initialWindowSize: windowBytes, enablePush: false },
  });
  session.on("error", () => {});
  await new Promise<void>((resolve) => {
    session.once("connect", () => resolve());
  });
  session.setLocalWindowSize(2 * windowBytes);
  for (let index = 0; index < streams; index += 1) {
    const stream = session.request({
      ":method": "POST",
      ":path": CONNECT_PATH,
      "content-type": "application/grpc",
      te: "trailers",
    });
    stream.on("data", (chunk: Buffer) => {
      counts.down += chunk.length;
    });
    pour(stream);
  }
  return session;
}

/** Lets a flood run; false as soon as neither direction moved for `stillMs`. */
export async function keepsFlowing(
  counts: FloodCounts,
  { runMs, stillMs }: { runMs: number; stillMs: number },
): Promise<boolean> {
  const endMs = performance.now() + runMs;
  let last = 0;
  let movedMs = performance.now();
  while (performance.now() < endMs) {
    await new Promise((resolve) => {
      setTimeout(resolve, 50);
    });
    const sum = counts.up + counts.down;
    if (sum !== last) {
      last = sum;
      movedMs = performance.now();
    } else if (performance.now() - movedMs > stillMs) {
      return false;
    }
  }
  return counts.up > 0 && counts.down > 0;
}
