/**
 * The least that an HTTP/2 proxy can do in Node: streams piped from one connection into another,
 * with no limits, no health, no care for what either side does. What it costs is what the hop costs.
 */
import {
  connect,
  constants,
  createServer,
  type Http2Stream,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from "node:http2";
import { connect as dial } from "node:net";
import { runChild } from "./child.ts";
import { listenOnLoopback, socketOptions } from "./loopback.ts";
import type { Reachable } from "./reachable.ts";

const HOP_BY_HOP = ["connection", "host", "http2-settings", "transfer-encoding"];

runChild(async ({ address }: Reachable) => {
  const back = connect("http://back", { createConnection: () => dial(socketOptions(address)) });
  back.on("error", () => {});
  const server = createServer();
  server.on("sessionError", () => {});
  server.on("stream", (front: ServerHttp2Stream, headers) => {
    for (const name of HOP_BY_HOP) delete headers[name];
    const stream = back.request(headers, { endStream: false });
    let trailers: IncomingHttpHeaders = {};
    stream.on("response", (response, flags) => {
      if ((flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0) {
        front.respond(response, { endStream: true });
        return;
      }
      front.respond(response, { waitForTrailers: true });
      front.on("wantTrailers", () => front.sendTrailers(trailers));
      stream.pipe(front);
    });
    stream.on("trailers", (last: IncomingHttpHeaders) => {
      trailers = last;
    });
    front.pipe(stream);
    reset(front, stream);
    reset(stream, front);
  });
  return { ready: { address: await listenOnLoopback(server) } };
});

function reset(one: Http2Stream, other: Http2Stream): void {
  one.on("error", () => {});
  one.on("close", () => {
    if (one.rstCode !== constants.NGHTTP2_NO_ERROR) other.close(one.rstCode);
  });
}
