/**
 * Between grpc-js metadata and the entries that frames carry (docs/protocol.md §3): keys in the
 * wire's alphabet, values of "-bin" keys as raw bytes, others as printable ASCII.
 */
import { Metadata } from "@grpc/grpc-js";

import type { Entry } from "../../channel/call-message.ts";
import { ChannelError } from "../../channel/errors.ts";

/** What gRPC says of a call itself; frames carry it elsewhere, so it is never an entry. */
const RESERVED = new Set([
  "grpc-timeout",
  "grpc-encoding",
  "grpc-accept-encoding",
  "grpc-content-subtype",
  "grpc-status",
  "grpc-message",
  "accept-encoding",
  "te",
  "content-type",
]);
/** Keys that this library adds on its own side, so that a peer cannot speak in its name. */
const LOCAL_PREFIX = "sealrpc-";
const LEGAL_KEY = /^[0-9a-z_.-]+$/;
const LEGAL_TEXT = /^[ -~]*$/;
/** Leaves no byte out, so what is not legal text is not either after it has been decoded. */
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
const NONE: readonly Entry[] = [];

/**
 * Everything in `metadata` that may travel, in order. Reserved keys, `sealrpc-*` and HTTP/2's own
 * (with a colon) stay here, as grpc-js keeps them.
 *
 * @throws TypeError for the key `__proto__`, which metadata cannot list.
 */
export function entriesOf(metadata: Metadata): readonly Entry[] {
  const values = metadata.toJSON();
  // The key became the object's prototype instead of a property.
  if (Object.getPrototypeOf(values) !== Object.prototype) {
    throw new TypeError("the metadata key __proto__ is not allowed");
  }
  let entries: Entry[] | undefined;
  for (const key in values) {
    if (!travels(key)) continue;
    entries ??= [];
    for (const value of values[key] ?? []) {
      entries.push({
        key,
        value: typeof value === "string" ? Buffer.from(value, "latin1") : value,
      });
    }
  }
  return entries ?? NONE;
}

/**
 * Metadata from what a peer sent. Reserved keys and `sealrpc-*` are dropped.
 *
 * @throws ChannelError `malformed-frame` for a key or a value that gRPC does not allow.
 */
export function metadataOf(entries: readonly Entry[]): Metadata {
  const metadata = new Metadata();
  for (const { key, value } of entries) {
    if (!LEGAL_KEY.test(key) || key === "__proto__") {
      throw new ChannelError("malformed-frame", "a metadata key that gRPC does not allow");
    }
    if (!travels(key)) continue;
    if (key.endsWith("-bin")) {
      metadata.add(key, Buffer.from(value));
      continue;
    }
    const text = decoder.decode(value);
    if (!LEGAL_TEXT.test(text)) {
      throw new ChannelError("malformed-frame", "a metadata value that gRPC does not allow");
    }
    metadata.add(key, text);
  }
  return metadata;
}

function travels(key: string): boolean {
  return !(key.startsWith(":") || key.startsWith(LOCAL_PREFIX) || RESERVED.has(key));
}
