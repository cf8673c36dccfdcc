/**
 * The messages of the handshake, parsed with their limits (docs/protocol.md §3, §4). What comes out
 * of a `parse*` has passed every check that the message allows by itself.
 */
import {
  create,
  fromBinary,
  ScalarType,
  toBinary,
  type DescMessage,
  type MessageInitShape,
  type MessageShape,
} from "@bufbuild/protobuf";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import {
  ClientFinishedSchema,
  ClientHelloSchema,
  EnclaveParamsSchema,
  FinishReplySchema,
  FinishSchema,
  HelloReplySchema,
  HelloSchema,
  ServerFinishedSchema,
  type ClientFinished,
  type EnclaveParams,
  type Finish,
  type FinishReply,
  type HelloReply,
} from "#gen/sealrpc/v1/attested_channel_pb.js";
import { TAG_BYTES } from "../crypto/backend.ts";
import { ChannelError } from "./errors.ts";
import type { SessionTerms } from "./established.ts";
import { parseOuter, type OuterMessage } from "./outer-message.ts";
import { MAX_CREDIT } from "./session-terms.ts";
import { isSuiteId, suiteOf } from "./suite.ts";

/** The protocol version of this implementation. */
export const VERSION = 1;
/** The format of a Nitro Enclaves document, the only one that version 1 knows. */
export const NITRO_FORMAT = 0;
/** Bytes of the client's random. */
export const RANDOM_BYTES = 32;
/** Bytes of the enclave's random. */
export const SESSION_ID_BYTES = 16;
/** Most bytes of a serialized EnclaveParams. */
export const MAX_PARAMS_BYTES = 4096;
/** Most bytes of evidence. */
export const MAX_EVIDENCE_BYTES = 20_000;

const MAX_CLIENT_HELLO_BYTES = 1024;
const MAX_PATH_ENTRIES = 16;
const PATH_ENTRY_BYTES = 32;
const MAX_SEALED_CLIENT_BYTES = 21_504;
const MAX_SEALED_ENCLAVE_BYTES = 1024;

/** Serializes a message of the generated code. */
export function encode<Desc extends DescMessage>(
  schema: Desc,
  init: MessageInitShape<Desc>,
): Uint8Array {
  return toBinary(schema, create(schema, init));
}

/**
 * ConnectRequest{hello}, down to the bytes of its client_hello.
 *
 * @throws ChannelError `malformed-handshake`, `unsupported-version`.
 */
export function parseHello(message: Uint8Array): Uint8Array {
  const { clientHello } = parse(HelloSchema, bodyOf(message, "hello"));
  checkSize("client_hello", clientHello, 0, MAX_CLIENT_HELLO_BYTES);
  const { version, random } = parse(ClientHelloSchema, clientHello);
  checkSize("random", random, RANDOM_BYTES, RANDOM_BYTES);
  if (version !== VERSION) {
    throw new ChannelError("unsupported-version", `expected ${VERSION}, received ${version}`);
  }
  return clientHello;
}

/** ConnectResponse{hello}. @throws ChannelError `malformed-handshake`. */
export function parseHelloReply(message: Uint8Array): HelloReply {
  const reply = parse(HelloReplySchema, bodyOf(message, "hello"));
  checkSize("enclave_params", reply.enclaveParams, 0, MAX_PARAMS_BYTES);
  checkSize("evidence", reply.evidence, 1, MAX_EVIDENCE_BYTES);
  checkSize("session_id", reply.sessionId, SESSION_ID_BYTES, SESSION_ID_BYTES);
  checkNumber("entries of path", reply.path.length, 0, MAX_PATH_ENTRIES);
  for (const entry of reply.path) checkSize("path", entry, PATH_ENTRY_BYTES, PATH_ENTRY_BYTES);
  checkNumber("leaf_index", reply.leafIndex, 0, 2 ** reply.path.length - 1);
  checkNumber("format", reply.format, NITRO_FORMAT, NITRO_FORMAT);
  return reply;
}

/** What HelloReply.enclave_params holds. @throws ChannelError `malformed-handshake`. */
export function parseEnclaveParams(bytes: Uint8Array): EnclaveParams {
  return parse(EnclaveParamsSchema, bytes);
}

/** ConnectRequest{finish}; its suite may be any. @throws ChannelError `malformed-handshake`. */
export function parseFinish(message: Uint8Array): Finish {
  const finish = parse(FinishSchema, bodyOf(message, "finish"));
  checkSize("sealed", finish.sealed, TAG_BYTES, MAX_SEALED_CLIENT_BYTES);
  if (isSuiteId(finish.suite)) {
    const { encBytes } = suiteOf(finish.suite);
    checkSize("enc", finish.enc, encBytes, encBytes);
  }
  return finish;
}

/** ConnectResponse{finish}. @throws ChannelError `malformed-handshake`. */
export function parseFinishReply(message: Uint8Array): FinishReply {
  const reply = parse(FinishReplySchema, bodyOf(message, "finish"));
  checkSize("sealed", reply.sealed, TAG_BYTES, MAX_SEALED_ENCLAVE_BYTES);
  return reply;
}

/**
 * The plaintext of Finish.sealed.
 *
 * @throws ChannelError `malformed-handshake`, also unless evidence is there exactly when asked for.
 */
export function parseClientFinished(plaintext: Uint8Array, withEvidence: boolean): ClientFinished {
  const finished = parse(ClientFinishedSchema, plaintext);
  checkNumber("initial_credit", finished.initialCredit, 1, MAX_CREDIT);
  const [least, most] = withEvidence ? [1, MAX_EVIDENCE_BYTES] : [0, 0];
  checkSize("evidence", finished.evidence, least, most);
  return finished;
}

/**
 * The plaintext of FinishReply.sealed.
 *
 * @throws ChannelError `caller-refused`, before the other fields are looked at, and
 * `malformed-handshake`.
 */
export function parseServerFinished(plaintext: Uint8Array): SessionTerms {
  const finished = parse(ServerFinishedSchema, plaintext);
  if (finished.refused !== 0) {
    throw new ChannelError("caller-refused", "the enclave does not admit this client");
  }
  checkNumber("max_age_ms", finished.maxAgeMs, 1, Infinity);
  checkNumber("max_idle_ms", finished.maxIdleMs, 1, Infinity);
  checkNumber("max_concurrent_calls", finished.maxConcurrentCalls, 1, Infinity);
  checkNumber("max_delay_ms", finished.maxDelayMs, 1, Infinity);
  checkNumber("initial_credit", finished.initialCredit, 1, MAX_CREDIT);
  return finished;
}

function bodyOf(message: Uint8Array, expected: OuterMessage["kind"]): Uint8Array {
  const { kind, body } = parseOuter(message);
  if (kind !== expected) {
    throw new ChannelError("malformed-handshake", `expected ${expected}, received ${kind}`);
  }
  return body;
}

function parse<Desc extends DescMessage>(schema: Desc, bytes: Uint8Array): MessageShape<Desc> {
  try {
    demandWireTypes(schema, bytes);
    return fromBinary(schema, bytes, { readUnknownFields: false });
  } catch (cause) {
    throw new ChannelError("malformed-handshake", `no ${schema.name}`, { cause });
  }
}

/** The library reads a field it knows whatever its wire type says; then two encodings mean the same. */
function demandWireTypes(schema: DescMessage, bytes: Uint8Array): void {
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag();
    const field = schema.fields.find((one) => one.number === number);
    const isNumber = field?.scalar === ScalarType.UINT32 || field?.scalar === ScalarType.BOOL;
    const expected = isNumber ? WireType.Varint : WireType.LengthDelimited;
    // Repeated numbers may come packed.
    const packed = field?.fieldKind === "list" && wireType === WireType.LengthDelimited;
    if (field !== undefined && wireType !== expected && !packed) {
      throw new TypeError(`field ${number} has wire type ${wireType}`);
    }
    reader.skip(wireType, number);
  }
}

function checkSize(name: string, bytes: Uint8Array, least: number, most: number): void {
  checkNumber(`bytes of ${name}`, bytes.length, least, most);
}

function checkNumber(name: string, value: number, least: number, most: number): void {
  if (value >= least && value <= most) return;
  throw new ChannelError("malformed-handshake", `${name}: ${value}, not ${least} to ${most}`);
}
