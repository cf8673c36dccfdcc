/** Inflates the answers of an enclave that compresses (docs/protocol.md §8, flag `compressed`). */
import { gunzipSync, inflateSync } from "node:zlib";

import { status as Code } from "@grpc/grpc-js";

/** Why a message cannot be read; the call ends with it. */
export interface EncodingFailure {
  readonly code: Code;
  readonly details: string;
}

/** The message, or why there is none. Inflating stops at `maxBytes`; -1: no limit. */
export function inflate(
  message: Uint8Array,
  encoding: string,
  maxBytes: number,
): Uint8Array | EncodingFailure {
  const inflater = encoding === "gzip" ? gunzipSync : encoding === "deflate" ? inflateSync : null;
  if (inflater === null) {
    return encoding === "" || encoding === "identity"
      ? { code: Code.INTERNAL, details: "a compressed message in a call without an encoding" }
      : { code: Code.UNIMPLEMENTED, details: "the message encoding is not supported" };
  }
  try {
    return inflater(message, maxBytes < 0 ? {} : { maxOutputLength: Math.max(1, maxBytes) });
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE"
      ? {
          code: Code.RESOURCE_EXHAUSTED,
          details: `the message inflates to more than ${maxBytes} bytes`,
        }
      : { code: Code.INTERNAL, details: "the compressed message does not inflate" };
  }
}
