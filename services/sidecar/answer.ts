/** Header blocks with which a sidecar answers, and the end of a stream that was answered. */
import { constants, type OutgoingHttpHeaders, type ServerHttp2Stream } from "node:http2";

import type { status as Code } from "@grpc/grpc-js";

import { emptyBlock } from "../http2/header-block.ts";
import { encodeStatusText } from "../http2/status-text.ts";

/** What a client gets to stop sending after it was answered, in milliseconds. */
const LINGER_MS = 1000;

/** The block that comes before messages. */
export function responseBlock(): OutgoingHttpHeaders {
  const block = emptyBlock();
  block[":status"] = 200;
  block["content-type"] = "application/grpc";
  return block;
}

/** Adds a status: to an empty block for trailers, to a response block for an answer of nothing else. */
export function addStatus(
  block: OutgoingHttpHeaders,
  code: Code,
  details: string,
): OutgoingHttpHeaders {
  block["grpc-status"] = String(code);
  if (details !== "") block["grpc-message"] = encodeStatusText(details);
  return block;
}

/** Answers with a block and nothing else. */
export function answerOnly(stream: ServerHttp2Stream, block: OutgoingHttpHeaders): void {
  if (stream.destroyed || stream.closed) return;
  stream.respond(block, { endStream: true, sendDate: false } as { endStream: boolean });
  dropRequest(stream);
}

/**
 * The answer is complete, and what the client still sends has no reader. It will stop by itself; a
 * reset in this turn would overtake the answer.
 */
export function dropRequest(stream: ServerHttp2Stream): void {
  if (stream.readableEnded || stream.destroyed) return;
  stream.resume();
  const timer = setTimeout(() => stream.close(constants.NGHTTP2_NO_ERROR), LINGER_MS);
  stream.once("close", () => clearTimeout(timer));
}
