/**
 * Between HTTP/2 header blocks of plain gRPC and the entries that frames carry (docs/protocol.md §3).
 * Blocks are read raw: Node's own headers object joins repeated fields.
 */
import type { OutgoingHttpHeaders } from "node:http2";

import type { Entry } from "../../channel/call-message.ts";

/** What one header block says. */
export interface HeaderBlock {
  /** All that is the application's, in order. */
  readonly metadata: readonly Entry[];
  /** `grpc-encoding`; empty for none, and for identity. */
  readonly encoding: string;
  readonly timeout: string | undefined;
  readonly status: string | undefined;
  readonly message: string;
}

/** Metadata that gRPC does not allow: the call that has it fails. */
export class MetadataError extends Error {
  override readonly name = "MetadataError";
}

export const NO_ENTRIES: readonly Entry[] = [];

const KEY = /^[0-9a-z_.-]+$/;
const TOKEN = /^[0-9A-Za-z_.-]+$/;
const TEXT = /^[ -~]*$/;
const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;
/** Keys that this library adds on its own side, so that a peer cannot speak in its name. */
const LOCAL_PREFIX = "sealrpc-";

/** What messages are made of, where it is not protobuf: the entry for `application/grpc+json` says "json". */
const SUBTYPE_KEY = "grpc-content-subtype";
const SUBTYPE_FORM = /^application\/grpc\+([^;]*)/;
const SUBTYPE = /^[0-9A-Za-z!#$&^_.+-]+$/;

/** What belongs to one hop, or is said of a call elsewhere than in its metadata. */
const NOT_METADATA: ReadonlySet<string> = new Set([
  "__proto__",
  "connection",
  "content-length",
  "content-type",
  SUBTYPE_KEY,
  "grpc-encoding",
  "grpc-message",
  "grpc-status",
  "grpc-timeout",
  "host",
  "http2-settings",
  "keep-alive",
  "proxy-connection",
  "te",
  "transfer-encoding",
  "upgrade",
]);

/**
 * Reads a block in which names and values alternate. Names that gRPC does not know are left out.
 *
 * @throws MetadataError for a value that is no base64, under a "-bin" key, or no printable ASCII.
 */
export function readHeaderBlock(raw: readonly string[]): HeaderBlock {
  const metadata: Entry[] = [];
  let encoding = "";
  let timeout: string | undefined;
  let status: string | undefined;
  let message = "";
  for (let index = 0; index + 1 < raw.length; index += 2) {
    const key = raw[index] ?? "";
    const value = raw[index + 1] ?? "";
    if (key === "grpc-encoding") encoding = value === "identity" ? "" : value;
    else if (key === "grpc-timeout") timeout = value;
    else if (key === "grpc-status") status = value;
    else if (key === "grpc-message") message = value;
    else if (key === "content-type") readSubtype(metadata, value);
    else if (isMetadata(key)) readEntries(metadata, key, value);
  }
  return { metadata, encoding, timeout, status, message };
}

/**
 * Adds entries to a block that is to be sent, repeated keys apart; a content subtype goes to the block's
 * content type. What is not metadata, and what only this side may say, is left out.
 *
 * @throws MetadataError for a value that gRPC does not allow.
 */
export function addMetadata(headers: OutgoingHttpHeaders, entries: readonly Entry[]): void {
  for (const { key, value } of entries) {
    if (isMetadata(key)) addField(headers, key, formatValue(key, value));
    else if (key === SUBTYPE_KEY) addSubtype(headers, formatValue(key, value));
  }
}

/**
 * Adds the encoding of messages that are flagged as compressed.
 *
 * @throws MetadataError for what cannot be the name of one.
 */
export function addEncoding(headers: OutgoingHttpHeaders, encoding: string): void {
  if (encoding === "") return;
  if (!TOKEN.test(encoding)) throw new MetadataError("the message encoding has no name");
  headers["grpc-encoding"] = encoding;
}

/** An empty block; a name in it is never one of Object's own. */
export function emptyBlock(): OutgoingHttpHeaders {
  return Object.create(null) as OutgoingHttpHeaders;
}

/**
 * Whether a key is the application's, and the peer's to say. Invariant: Node destroys a whole
 * connection when it is to send a name that is no token, or that belongs to HTTP/1.
 */
function isMetadata(key: string): boolean {
  return KEY.test(key) && !NOT_METADATA.has(key) && !key.startsWith(LOCAL_PREFIX);
}

function readSubtype(metadata: Entry[], contentType: string): void {
  const [, subtype = "proto"] = SUBTYPE_FORM.exec(contentType) ?? [];
  requireSubtype(subtype);
  if (subtype === "proto") return;
  metadata.push({ key: SUBTYPE_KEY, value: Buffer.from(subtype, "latin1") });
}

/** Trailers have no content type. */
function addSubtype(headers: OutgoingHttpHeaders, subtype: string): void {
  requireSubtype(subtype);
  if (headers["content-type"] === undefined) return;
  headers["content-type"] = `application/grpc+${subtype}`;
}

function requireSubtype(subtype: string): void {
  if (!SUBTYPE.test(subtype)) throw new MetadataError("the content subtype has no name");
}

function readEntries(metadata: Entry[], key: string, value: string): void {
  if (!key.endsWith("-bin")) {
    if (!TEXT.test(value)) throw new MetadataError(`the value of ${key} is not printable ASCII`);
    metadata.push({ key, value: Buffer.from(value, "latin1") });
    return;
  }
  // Any hop may have joined the values of a repeated key.
  for (const part of value.split(",")) {
    const base64 = part.trim();
    if (!BASE64.test(base64)) throw new MetadataError(`the value of ${key} is not base64`);
    metadata.push({ key, value: Buffer.from(base64, "base64") });
  }
}

function formatValue(key: string, value: Uint8Array): string {
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  if (key.endsWith("-bin")) return bytes.toString("base64").replace(/=+$/, "");
  const text = bytes.toString("latin1");
  if (!TEXT.test(text)) throw new MetadataError(`the value of ${key} is not printable ASCII`);
  return text;
}

function addField(headers: OutgoingHttpHeaders, key: string, value: string): void {
  const earlier = headers[key];
  if (earlier === undefined) headers[key] = value;
  // Node throws for a second one.
  else if (SINGLE.has(key)) headers[key] = `${String(earlier)}, ${value}`;
  else if (Array.isArray(earlier)) earlier.push(value);
  else headers[key] = [String(earlier), value];
}

/** Fields that HTTP knows as single: metadata may repeat them all the same. */
const SINGLE: ReadonlySet<string> = new Set([
  "access-control-allow-credentials",
  "access-control-max-age",
  "access-control-request-method",
  "age",
  "authorization",
  "content-encoding",
  "content-language",
  "content-location",
  "content-md5",
  "content-range",
  "date",
  "dnt",
  "etag",
  "expires",
  "from",
  "if-match",
  "if-modified-since",
  "if-none-match",
  "if-range",
  "if-unmodified-since",
  "last-modified",
  "location",
  "max-forwards",
  "proxy-authorization",
  "range",
  "referer",
  "retry-after",
  "tk",
  "upgrade-insecure-requests",
  "user-agent",
  "x-content-type-options",
]);
