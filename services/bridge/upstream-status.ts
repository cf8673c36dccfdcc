/** What becomes of an answer of the application that is no gRPC status: gRPC's own mapping. */
import { constants } from "node:http2";

import { status as Code } from "@grpc/grpc-js";

import type { Status } from "../../channel/call-message.ts";
import { type HeaderBlock, NO_ENTRIES } from "../http2/header-block.ts";
import { decodeStatusText } from "../http2/status-text.ts";

const CODE_OF_RESET: ReadonlyMap<number, Code> = new Map([
  [constants.NGHTTP2_REFUSED_STREAM, Code.UNAVAILABLE],
  [constants.NGHTTP2_CANCEL, Code.CANCELLED],
  [constants.NGHTTP2_ENHANCE_YOUR_CALM, Code.RESOURCE_EXHAUSTED],
  [constants.NGHTTP2_INADEQUATE_SECURITY, Code.PERMISSION_DENIED],
]);

const CODE_OF_HTTP: ReadonlyMap<number, Code> = new Map([
  [400, Code.INTERNAL],
  [401, Code.UNAUTHENTICATED],
  [403, Code.PERMISSION_DENIED],
  [404, Code.UNIMPLEMENTED],
  [429, Code.UNAVAILABLE],
  [502, Code.UNAVAILABLE],
  [503, Code.UNAVAILABLE],
  [504, Code.UNAVAILABLE],
]);

/** A status of the bridge's own. */
export function ownStatus(code: Code, message: string): Status {
  return { code, message, trailers: NO_ENTRIES };
}

/** The status in a block that should have one; undefined for none. A number that is none reads as UNKNOWN. */
export function statusOfBlock(block: HeaderBlock): Status | undefined {
  const { status, message, metadata } = block;
  if (status === undefined) return undefined;
  const code = /^(?:\d|1[0-6])$/.test(status) ? Number(status) : Code.UNKNOWN;
  return { code, message: decodeStatusText(message), trailers: metadata };
}

export function statusOfReset(code: number): Status {
  const text = `the application reset the call with HTTP/2 code ${code}`;
  return ownStatus(CODE_OF_RESET.get(code) ?? Code.INTERNAL, text);
}

export function statusOfHttp(status: number): Status {
  const text = `the application answered with HTTP status ${status}, not with gRPC`;
  return ownStatus(CODE_OF_HTTP.get(status) ?? Code.UNKNOWN, text);
}
