/** Inflates the messages of peers that compress (docs/protocol.md §8, flag `compressed`). */
import { gunzipSync, inflateSync } from "node:zlib";

import { status as Code } from "@grpc/grpc-js";

/** Why a message cannot be read: the status that ends its call. */
export interface InflateFailure {
  readonly code: Code;
  readonly details: string;
}

/**
 * The message, or the status that ends the call. Synchronous, so that one message at a time is
 * inflated in the whole process and none waits outside the memory budget.
 *
 * @param maxBytes Inflating stops when it yields more; -1: no limit.
 */
export function inflate(
  message: Uint8Array,
  encoding: string,
  maxBytes: number,
): Uint8Array | InflateFailure {
  const inflater = encoding === "gzip" ? gunzipSync : encoding === "deflate" ? inflateSync : null;
  if (inflater === null) return unsupported(encoding);
  // zlib refuses a limit of 0; a message of one byte over it is caught below.
  const options = maxBytes === -1 ? {} : { maxOutputLength: Math.max(1, maxBytes) };
  let inflated: Uint8Array;
  try {
    inflated = inflater(message, options);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE"
      ? tooLarge(maxBytes)
      : { code: Code.INTERNAL, details: "the compressed message does not inflate" };
  }
  return maxBytes !== -1 && inflated.length > maxBytes ? tooLarge(maxBytes) : inflated;
}

function tooLarge(maxBytes: number): InflateFailure {
  return {
    code: Code.RESOURCE_EXHAUSTED,
    details: `the message inflates to more than ${maxBytes} bytes`,
  };
}

function unsupported(encoding: string): InflateFailure {
  if (encoding === "" || encoding === "identity") {
    return { code: Code.INTERNAL, details: "a compressed message in a call without an encoding" };
  }
  return { code: Code.UNIMPLEMENTED, details: "the message encoding is not supported" };
}
