/** What becomes of a handler's errors: gRPC statuses, with grpc-js's rules for their text. */
import { status as Code } from "@grpc/grpc-js";
import type { Metadata } from "@grpc/grpc-js";

import type { CancelReason } from "../../channel/call-events.ts";

/** A status as grpc-js passes it around; no metadata means no trailers. */
export interface CallStatus {
  readonly code: Code;
  readonly details: string;
  readonly metadata?: Metadata | null | undefined;
}

/** For a handler that threw or rejected. Invariant: nothing of the error leaves the enclave. */
export const UNKNOWN_ERROR: CallStatus = { code: Code.UNKNOWN, details: "Unknown error" };

const HIGHEST_CODE = 16;

/**
 * The status of an error that a handler gave to its callback, emitted, or destroyed its call with.
 * An integer `code` chooses the code and then `details` the text; anything else is UNKNOWN with
 * the error's message.
 */
export function statusOf(error: unknown, trailers?: Metadata | null): CallStatus {
  if (typeof error !== "object" || error === null) return { ...UNKNOWN_ERROR, metadata: trailers };
  const { code, message, details, metadata } = error as {
    code?: unknown;
    message?: unknown;
    details?: unknown;
    metadata?: Metadata | null;
  };
  const text = typeof message === "string" ? message : "Unknown Error";
  const rest = { metadata: trailers ?? metadata };
  if (!Number.isInteger(code)) return { code: Code.UNKNOWN, details: text, ...rest };
  return {
    code: code as Code,
    details: typeof details === "string" ? details : text,
    ...rest,
  };
}

/** Whether this is one of gRPC's status codes. */
export function isCode(code: unknown): code is Code {
  return typeof code === "number" && Number.isInteger(code) && code >= 0 && code <= HIGHEST_CODE;
}

const CANCEL_CODES: Record<CancelReason, Code> = {
  cancelled: Code.CANCELLED,
  deadline: Code.DEADLINE_EXCEEDED,
  truncated: Code.ABORTED,
  "too-large": Code.RESOURCE_EXHAUSTED,
  budget: Code.RESOURCE_EXHAUSTED,
  age: Code.UNAVAILABLE,
};

/**
 * The error that a handler's stream is destroyed with when its call is over before its time. A
 * request that is not whole is ABORTED "truncated", whatever the reason, so that no handler takes
 * it for complete (docs/protocol.md §9).
 */
export function cancelError(reason: CancelReason, requestIsWhole: boolean): Error {
  const details = requestIsWhole ? reason : "truncated";
  const code = requestIsWhole ? CANCEL_CODES[reason] : Code.ABORTED;
  return Object.assign(new Error(details), { code, details });
}
