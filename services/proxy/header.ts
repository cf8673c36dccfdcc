/** HTTP/2 header blocks of gRPC, as the proxy forwards and makes them. */
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from "node:http2";

/** The one method that the proxy forwards; each stream of it is one session. */
export const CONNECT_PATH = "/sealrpc.v1.AttestedChannelService/Connect";

/** The gRPC statuses that the proxy itself gives. */
export const STATUS = {
  unknown: 2,
  notFound: 5,
  resourceExhausted: 8,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
} as const;

/** A received request's header block. */
export type RequestHeaders = IncomingHttpHeaders & {
  readonly ":authority"?: string | undefined;
  readonly ":method"?: string | undefined;
  readonly ":path"?: string | undefined;
};

/** They belong to one hop. */
const HOP_BY_HOP = new Set([
  "connection",
  "host",
  "http2-settings",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
  "upgrade",
]);

/** Names of gRPC metadata. Invariant: Node destroys a whole connection when it is to send a name that is no token. */
const FIELD_NAME = /^[0-9a-z_.-]+$/;

/**
 * The fields of a received block that go on to the other side: no pseudo-headers, nothing of the
 * hop, no name that gRPC does not know, repeated fields kept apart. `raw` alternates names and values.
 */
export function forwardedFields(raw: readonly string[]): OutgoingHttpHeaders {
  const fields: OutgoingHttpHeaders = Object.create(null) as OutgoingHttpHeaders;
  for (let index = 0; index + 1 < raw.length; index += 2) {
    const name = raw[index] ?? "";
    const value = raw[index + 1] ?? "";
    if (!FIELD_NAME.test(name) || HOP_BY_HOP.has(name)) {
      continue;
    }
    const earlier = fields[name];
    if (earlier === undefined) {
      fields[name] = value;
    } else if (Array.isArray(earlier)) {
      earlier.push(value);
    } else {
      fields[name] = [String(earlier), value];
    }
  }
  return fields;
}

/** The block of a request to the enclave. */
export function forwardedRequest(
  headers: RequestHeaders,
  raw: readonly string[],
): OutgoingHttpHeaders {
  const fields = forwardedFields(raw);
  fields[":method"] = "POST";
  fields[":path"] = CONNECT_PATH;
  fields[":scheme"] = "http";
  fields[":authority"] = headers[":authority"] ?? "enclave";
  return fields;
}

/**
 * The enclave's trailers, or its trailers-only answer. A status that is none reads as UNKNOWN: what
 * the enclave sends outside the seal is checked like anybody's input.
 */
export function forwardedStatus(raw: readonly string[]): OutgoingHttpHeaders {
  const fields = forwardedFields(raw);
  const status = fields["grpc-status"];
  if (typeof status === "string" && /^(?:\d|1[0-6])$/.test(status)) {
    return fields;
  }
  return { ...fields, ...statusFields(STATUS.unknown, "the enclave sent no valid gRPC status") };
}

/** A status of the proxy's own. */
export function statusFields(code: number, message: string): OutgoingHttpHeaders {
  return { "grpc-status": String(code), "grpc-message": encodeURI(message) };
}

/** The block of an answer that is a status and nothing else. */
export function trailersOnly(code: number, message: string): OutgoingHttpHeaders {
  return {
    ":status": 200,
    "content-type": "application/grpc",
    ...statusFields(code, message),
  };
}
