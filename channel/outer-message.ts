/**
 * The outer messages, ConnectRequest and ConnectResponse, as far as both look the same: one field
 * that holds a hello, a finish or a record (docs/protocol.md §3). Written by hand, since every
 * record passes here: encoding needs no copy, and parsing gives a view.
 */
import { ChannelError } from "./errors.ts";
import { MAX_RECORD_BYTES } from "./record.ts";

/** What an outer message holds. `body` is a view of the message. */
export interface OuterMessage {
  readonly kind: "hello" | "finish" | "record";
  readonly body: Uint8Array;
}

/** Of each message of a gRPC stream: a flag and the length. */
export const GRPC_PREFIX_BYTES = 5;
const RECORD_TAG = 0x1a;
const KINDS: ReadonlyMap<number, OuterMessage["kind"]> = new Map([
  [0x0a, "hello"],
  [0x12, "finish"],
  [RECORD_TAG, "record"],
]);
/** HelloReply is the largest: parameters, evidence, session id, path and their tags. */
const MAX_HANDSHAKE_BYTES = 26 * 1024;
const MAX_LENGTH_BYTES = 3;

/** Free bytes before a record that `encodeRecordMessage` needs. */
export const RECORD_HEADROOM: number = GRPC_PREFIX_BYTES + 1 + MAX_LENGTH_BYTES;

/** Most bytes of an outer message, without gRPC's prefix. */
export const MAX_OUTER_MESSAGE_BYTES: number = 1 + MAX_LENGTH_BYTES + MAX_RECORD_BYTES;

/**
 * Makes the outer message of a record in place. `buffer` holds `RECORD_HEADROOM` free bytes and then
 * the record; the result is a view of it, with gRPC's five-byte message prefix if asked for.
 */
export function encodeRecordMessage(buffer: Uint8Array, grpcPrefix: boolean): Uint8Array {
  const length = buffer.length - RECORD_HEADROOM;
  const lengthBytes = length < 1 << 7 ? 1 : length < 1 << 14 ? 2 : 3;
  let at = RECORD_HEADROOM - lengthBytes - 1;
  const start = grpcPrefix ? at - GRPC_PREFIX_BYTES : at;
  if (grpcPrefix) {
    const messageLength = 1 + lengthBytes + length;
    buffer[start] = 0;
    buffer[start + 1] = messageLength >>> 24;
    buffer[start + 2] = messageLength >>> 16;
    buffer[start + 3] = messageLength >>> 8;
    buffer[start + 4] = messageLength;
  }
  buffer[at++] = RECORD_TAG;
  let rest = length;
  for (; at < RECORD_HEADROOM - 1; rest >>>= 7) buffer[at++] = (rest & 0x7f) | 0x80;
  buffer[at] = rest;
  return buffer.subarray(start);
}

/**
 * Parses an outer message strictly: one known field, all of the message, nothing twice.
 *
 * @throws ChannelError `record-too-large`, `malformed-record` for the wrapping of a record, and
 * `malformed-handshake` for all else.
 */
export function parseOuter(message: Uint8Array): OuterMessage {
  const kind = KINDS.get(message[0] ?? 0);
  if (kind === undefined) throw new ChannelError("malformed-handshake", "an unknown outer message");
  const malformed = kind === "record" ? "malformed-record" : "malformed-handshake";
  let length = 0;
  let at = 1;
  for (let shift = 0, more = true; more; shift += 7) {
    const byte = message[at++];
    if (byte === undefined || shift > 21) {
      throw new ChannelError(malformed, "the length in an outer message");
    }
    length += (byte & 0x7f) << shift;
    more = byte >= 0x80;
  }
  if (kind === "record" && length > MAX_RECORD_BYTES) {
    throw new ChannelError("record-too-large", `${length} bytes of ${MAX_RECORD_BYTES}`);
  }
  if (kind !== "record" && length > MAX_HANDSHAKE_BYTES) {
    throw new ChannelError(malformed, `${length} bytes of ${MAX_HANDSHAKE_BYTES}`);
  }
  if (length !== message.length - at) {
    throw new ChannelError(malformed, "an outer message is one field, whole and alone");
  }
  return { kind, body: message.subarray(at) };
}
