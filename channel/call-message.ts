/**
 * The messages that OPEN, HEADERS, END and REFUSED carry (docs/protocol.md §3, §8): their types, and
 * a protobuf codec of their own. It writes straight into a record and reads straight out of one,
 * since every call passes here; the tests hold it equal to the generated code in `gen/`.
 */
import { FieldReader } from "./field-reader.ts";
import type { KnownTexts } from "./known-texts.ts";
import { malformed } from "./violation.ts";

/** The longest serialized RequestHeader, ResponseHeader or Status. */
export const MAX_HEADER_BYTES = 65_536;

/** One metadata entry; values under a "-bin" key are raw bytes. */
export interface Entry {
  readonly key: string;
  readonly value: Uint8Array;
}

export interface RequestHeader {
  /** "/package.Service/Method". */
  readonly method: string;
  readonly metadata: readonly Entry[];
  /** When the OPEN was sealed, in milliseconds of the session's clock. */
  readonly sentMs: number;
  /** What was left of the deadline then, in milliseconds; 0 is no deadline. */
  readonly timeoutMs: number;
  /** The encoding of messages flagged as compressed; empty is identity. */
  readonly encoding: string;
  readonly authority: string;
}

export interface ResponseHeader {
  readonly metadata: readonly Entry[];
  readonly encoding: string;
}

export interface Status {
  /** A gRPC status code; above 16 was read as 2, UNKNOWN. */
  readonly code: number;
  readonly message: string;
  readonly trailers: readonly Entry[];
}

/** No more bytes than this are written for a header; cheap, and never too small. */
export function boundOf(header: RequestHeader | ResponseHeader | Status): number {
  if ("method" in header) {
    const { method, encoding, authority, metadata } = header;
    return 3 * (method.length + encoding.length + authority.length) + 48 + boundOfEntries(metadata);
  }
  if ("code" in header) return 3 * header.message.length + 16 + boundOfEntries(header.trailers);
  return 3 * header.encoding.length + 8 + boundOfEntries(header.metadata);
}

/** Whether a header keeps within {@link MAX_HEADER_BYTES}; exact where the bound does not decide. */
export function fits(header: RequestHeader | ResponseHeader | Status): boolean {
  const bound = boundOf(header);
  if (bound <= MAX_HEADER_BYTES) return true;
  // Text takes at least a byte a character: this is refused without writing it out.
  if (bound > 4 * MAX_HEADER_BYTES) return false;
  return writeHeader(new Uint8Array(bound), 0, header) <= MAX_HEADER_BYTES;
}

/** Writes any of the three at `at` and gives the position behind it. */
export function writeHeader(
  out: Uint8Array,
  at: number,
  header: RequestHeader | ResponseHeader | Status,
): number {
  if ("method" in header) return writeRequestHeader(out, at, header);
  if ("code" in header) return writeStatus(out, at, header);
  return writeText(out, writeEntries(out, at, 0x0a, header.metadata), 0x12, header.encoding);
}

function writeRequestHeader(out: Uint8Array, start: number, header: RequestHeader): number {
  let at = writeText(out, start, 0x0a, header.method);
  at = writeEntries(out, at, 0x12, header.metadata);
  at = writeNumber(out, at, 0x18, header.sentMs);
  at = writeNumber(out, at, 0x20, header.timeoutMs);
  at = writeText(out, at, 0x2a, header.encoding);
  return writeText(out, at, 0x32, header.authority);
}

function writeStatus(out: Uint8Array, start: number, status: Status): number {
  let at = writeNumber(out, start, 0x08, status.code);
  at = writeText(out, at, 0x12, status.message);
  return writeEntries(out, at, 0x1a, status.trailers);
}

/** @throws Violation `malformed` for anything that is not a RequestHeader of §3. */
export function parseRequestHeader(body: Uint8Array, texts: KnownTexts): RequestHeader {
  const fields = new FieldReader(body, 6, texts);
  let method = "";
  let sentMs = 0;
  let timeoutMs = 0;
  let encoding = "";
  let authority = "";
  const metadata: Entry[] = [];
  for (let tag = fields.next(); tag !== 0; tag = fields.next()) {
    if (tag === 0x0a) method = fields.name();
    else if (tag === 0x12) metadata.push(fields.message(2, parseEntry));
    else if (tag === 0x18) sentMs = fields.number();
    else if (tag === 0x20) timeoutMs = fields.number();
    else if (tag === 0x2a) encoding = fields.name();
    else if (tag === 0x32) authority = fields.name();
    else fields.skip(tag);
  }
  return { method, metadata, sentMs, timeoutMs, encoding, authority };
}

/** @throws Violation `malformed` for anything that is not a ResponseHeader of §3. */
export function parseResponseHeader(body: Uint8Array, texts: KnownTexts): ResponseHeader {
  const fields = new FieldReader(body, 2, texts);
  let encoding = "";
  const metadata: Entry[] = [];
  for (let tag = fields.next(); tag !== 0; tag = fields.next()) {
    if (tag === 0x0a) metadata.push(fields.message(2, parseEntry));
    else if (tag === 0x12) encoding = fields.name();
    else fields.skip(tag);
  }
  return { metadata, encoding };
}

/** @throws Violation `malformed` for anything that is not a Status of §3. */
export function parseStatus(body: Uint8Array, texts: KnownTexts): Status {
  const fields = new FieldReader(body, 3, texts);
  let code = 0;
  let message = "";
  const trailers: Entry[] = [];
  for (let tag = fields.next(); tag !== 0; tag = fields.next()) {
    if (tag === 0x08) code = fields.number();
    else if (tag === 0x12) message = fields.text();
    else if (tag === 0x1a) trailers.push(fields.message(2, parseEntry));
    else fields.skip(tag);
  }
  return { code: code > 16 ? 2 : code, message, trailers };
}

const KEY = /^[0-9a-z_.-]+$/;
const RESERVED: ReadonlySet<string> = new Set([
  "grpc-timeout",
  "grpc-encoding",
  "grpc-status",
  "grpc-message",
  "te",
  "content-type",
]);

/** Whether a key may travel in metadata (§3). */
export function isMetadataKey(key: string): boolean {
  return KEY.test(key) && !RESERVED.has(key);
}

function parseEntry(fields: FieldReader): Entry {
  let key = "";
  let value: Uint8Array = EMPTY;
  for (let tag = fields.next(); tag !== 0; tag = fields.next()) {
    if (tag === 0x0a) key = fields.name();
    else if (tag === 0x12) value = fields.bytes();
    else fields.skip(tag);
  }
  if (!isMetadataKey(key)) throw malformed("a metadata key is not allowed");
  return { key, value };
}

const EMPTY = new Uint8Array(0);
const encoder = new TextEncoder();

function boundOfEntries(entries: readonly Entry[]): number {
  let bound = 0;
  for (const { key, value } of entries) bound += 3 * key.length + value.length + 16;
  return bound;
}

function writeEntries(
  out: Uint8Array,
  start: number,
  tag: number,
  entries: readonly Entry[],
): number {
  let at = start;
  for (const { key, value } of entries) {
    const valueBytes = value.length === 0 ? 0 : 1 + varintBytes(value.length) + value.length;
    // A key is ASCII, so its length in bytes is known (§3).
    out[at++] = tag;
    at = writeVarint(out, at, 1 + varintBytes(key.length) + key.length + valueBytes);
    at = writeText(out, at, 0x0a, key);
    if (value.length === 0) continue;
    out[at++] = 0x12;
    at = writeVarint(out, at, value.length);
    out.set(value, at);
    at += value.length;
  }
  return at;
}

function writeText(out: Uint8Array, start: number, tag: number, text: string): number {
  const length = text.length;
  if (length === 0) return start;
  let at = start;
  out[at++] = tag;
  if (length < 128) {
    out[at] = length;
    let i = 0;
    for (; i < length; i++) {
      const unit = text.charCodeAt(i);
      if (unit >= 128) break;
      out[at + 1 + i] = unit;
    }
    if (i === length) return at + 1 + length;
  }
  const bytes = encoder.encode(text);
  at = writeVarint(out, at, bytes.length);
  out.set(bytes, at);
  return at + bytes.length;
}

function writeNumber(out: Uint8Array, start: number, tag: number, value: number): number {
  if (value === 0) return start;
  out[start] = tag;
  return writeVarint(out, start + 1, value);
}

function writeVarint(out: Uint8Array, start: number, value: number): number {
  let at = start;
  let rest = value;
  while (rest >= 128) {
    out[at++] = (rest % 128) | 128;
    rest = Math.floor(rest / 128);
  }
  out[at++] = rest;
  return at;
}

function varintBytes(value: number): number {
  return value < 128 ? 1 : value < 16_384 ? 2 : 3;
}
