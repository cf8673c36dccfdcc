/**
 * What a call's end looks like to the application: the one place where errors and ends become gRPC
 * statuses and outcomes (docs/protocol.md §9). A status that came from outside the seal is never
 * shown as the enclave's: it is UNAVAILABLE, with the outer code and text quoted and labelled.
 */
import { Metadata, status as Code } from "@grpc/grpc-js";
import type { StatusObject } from "@grpc/grpc-js";

import { AttestationError } from "../../attestation/errors.ts";
import type { AttestationErrorCode } from "../../attestation/errors.ts";
import type { CallEnd, Outcome } from "../../channel/call-events.ts";
import type { Entry } from "../../channel/call-message.ts";
import { ChannelError } from "../../channel/errors.ts";
import type { ChannelErrorCode } from "../../channel/errors.ts";
import { TransportError } from "../../transport/errors.ts";
import type { TransportErrorCode } from "../../transport/errors.ts";
import { metadataOf } from "../grpc/metadata.ts";
import { statusCode } from "./status-code.ts";

/** The code of any error of this library. */
export type ErrorCode = AttestationErrorCode | ChannelErrorCode | TransportErrorCode;

/** How a call ended, before it takes the shape that an interface wants. */
export interface CallStatus {
  readonly code: Code;
  readonly details: string;
  /** The trailers of a sealed END or REFUSED. */
  readonly trailers: readonly Entry[];
  readonly outcome: Outcome;
  readonly errorCode: ErrorCode | undefined;
}

const OUTCOME_KEY = "sealrpc-outcome";
const CODE_KEY = "sealrpc-code";
/** gRFC A6: a negative value asks retry policies above not to repeat the call. */
const PUSHBACK_KEY = "grpc-retry-pushback-ms";

const NO_TRAILERS: readonly Entry[] = [];
const NO_LOCAL_TRAILERS: readonly never[] = [];
const MAX_QUOTED_CHARACTERS = 256;

// Exhaustive: a code that is added to an error class does not compile until it has its row.
const STATUS_OF_CODE: Readonly<Record<ErrorCode, Code>> = {
  "malformed-evidence": Code.UNAUTHENTICATED,
  "not-an-enclave": Code.UNAUTHENTICATED,
  "untrusted-chain": Code.UNAUTHENTICATED,
  "certificate-expired": Code.UNAUTHENTICATED,
  "certificate-not-yet-valid": Code.UNAUTHENTICATED,
  "bad-signature": Code.UNAUTHENTICATED,
  "stale-evidence": Code.UNAUTHENTICATED,
  "challenge-mismatch": Code.UNAUTHENTICATED,
  "binding-mismatch": Code.UNAUTHENTICATED,
  "instance-mismatch": Code.UNAUTHENTICATED,
  "debug-enclave": Code.UNAUTHENTICATED,
  "measurement-mismatch": Code.UNAUTHENTICATED,
  "release-revoked": Code.UNAUTHENTICATED,
  "release-not-current": Code.UNAUTHENTICATED,
  "manifest-rejected": Code.UNAUTHENTICATED,
  "manifest-rolled-back": Code.UNAUTHENTICATED,
  "manifest-expired": Code.UNAUTHENTICATED,
  "nsm-unavailable": Code.UNAVAILABLE,
  "unsupported-version": Code.FAILED_PRECONDITION,
  "no-common-suite": Code.FAILED_PRECONDITION,
  "malformed-handshake": Code.INTERNAL,
  "malformed-record": Code.INTERNAL,
  "malformed-frame": Code.INTERNAL,
  "record-too-large": Code.RESOURCE_EXHAUSTED,
  "credit-overrun": Code.INTERNAL,
  "peer-alert": Code.UNAVAILABLE,
  "caller-refused": Code.PERMISSION_DENIED,
  "authentication-failed": Code.DATA_LOSS,
  truncated: Code.UNAVAILABLE,
  "handshake-timeout": Code.UNAVAILABLE,
  "session-expired": Code.UNAVAILABLE,
  "key-limit": Code.UNAVAILABLE,
  draining: Code.UNAVAILABLE,
  refused: Code.UNAVAILABLE,
  unreachable: Code.UNAVAILABLE,
  closed: Code.UNAVAILABLE,
  timeout: Code.UNAVAILABLE,
};

/**
 * The status of a call whose last attempt ended with `end`; `outcome` covers all attempts.
 * `outerError` is how the outer stream of its session ended, if it did.
 */
export function statusOfEnd(
  end: CallEnd,
  outcome: Outcome,
  outerError: TransportError | undefined,
): CallStatus {
  switch (end.kind) {
    case "status":
      return sealed(end.status, outcome, undefined);
    case "refused":
      return sealed(end.status, outcome, "refused");
    case "goaway":
      return own(Code.UNAVAILABLE, "[draining] the session is draining", outcome, "draining");
    case "unsealed":
      return own(
        Code.UNAVAILABLE,
        "[session-expired] the session ended before the call was sent",
        outcome,
        "session-expired",
      );
    case "lost": {
      const status = statusOfError(end.error, outcome);
      if (outerError === undefined || end.error.code !== "truncated") return status;
      return { ...status, details: `${status.details}; ${outerError.message}` };
    }
    case "deadline":
      return deadlineStatus(outcome);
    case "cancelled":
      return own(Code.CANCELLED, "Cancelled on client", outcome, undefined);
    case "local":
      return own(statusCode(end.code), end.message, outcome, undefined);
  }
  return end satisfies never;
}

/** The status of a call that an error ended. Errors that are not ours show nothing of themselves. */
export function statusOfError(error: unknown, outcome: Outcome): CallStatus {
  if (
    error instanceof AttestationError ||
    error instanceof ChannelError ||
    error instanceof TransportError
  ) {
    return own(STATUS_OF_CODE[error.code], error.message, outcome, error.code);
  }
  return own(Code.INTERNAL, "internal error", outcome, undefined);
}

/** The status of a call whose own deadline has passed. */
export function deadlineStatus(outcome: Outcome): CallStatus {
  return own(Code.DEADLINE_EXCEEDED, "Deadline exceeded", outcome, undefined);
}

/** A status that this side made. */
export function own(
  code: Code,
  details: string,
  outcome: Outcome,
  errorCode: ErrorCode | undefined,
): CallStatus {
  return { code, details, trailers: NO_TRAILERS, outcome, errorCode };
}

function sealed(
  status: { readonly code: number; readonly message: string; readonly trailers: readonly Entry[] },
  outcome: Outcome,
  errorCode: ErrorCode | undefined,
): CallStatus {
  const { code, message, trailers } = status;
  return { code: statusCode(code), details: message, trailers, outcome, errorCode };
}

/**
 * grpc-js's form of a status. A status that is not OK says in `sealrpc-outcome` and `sealrpc-code`
 * what is known of the call, and an `unknown` one asks retry policies above not to repeat it.
 * Trailers that gRPC does not allow make it INTERNAL.
 *
 * Invariant: those keys come from here only; `metadataOf` drops a peer's.
 */
export function statusObject(status: CallStatus): StatusObject {
  const { code, details, trailers, outcome } = status;
  let metadata: Metadata;
  try {
    metadata = trailers.length === 0 ? new Metadata() : metadataOf(trailers);
  } catch (error) {
    return statusObject(statusOfError(error, outcome));
  }
  for (const [key, value] of localTrailers(status)) metadata.set(key, value);
  return { code, details, metadata };
}

/** What this side adds to the trailers of a call that failed, in place of what the peer says under the same keys. */
export function localTrailers(status: CallStatus): readonly (readonly [string, string])[] {
  const { code, outcome, errorCode } = status;
  if (code === Code.OK) return NO_LOCAL_TRAILERS;
  const added: [string, string][] = [[OUTCOME_KEY, outcome]];
  if (errorCode !== undefined) added.push([CODE_KEY, errorCode]);
  if (outcome === "unknown") added.push([PUSHBACK_KEY, "-1"]);
  return added;
}

/**
 * The error for a status, or the loss, of the outer stream: hearsay of the host, so only quoted,
 * cut short and with every control character escaped.
 */
export function outerError(code: TransportErrorCode, status: unknown): TransportError {
  const { code: outerCode, details } = asOuterStatus(status);
  const text = JSON.stringify(details.slice(0, MAX_QUOTED_CHARACTERS));
  return new TransportError(code, `outside the seal: status ${outerCode}, ${text}`);
}

function asOuterStatus(status: unknown): { code: string; details: string } {
  if (typeof status !== "object" || status === null) return { code: "none", details: "" };
  const { code, details } = status as { code?: unknown; details?: unknown };
  return {
    code: typeof code === "number" ? String(code) : "none",
    details: typeof details === "string" ? details : "",
  };
}

const OUTCOMES: ReadonlySet<unknown> = new Set<Outcome>(["executed", "not-executed", "unknown"]);

/**
 * What is known of the call that ended with `error`: whether its handler ran. `undefined` for an
 * error that is no call's, or not of an attested channel.
 */
export function outcomeOf(error: unknown): Outcome | undefined {
  const outcome = local(error, OUTCOME_KEY);
  return OUTCOMES.has(outcome) ? (outcome as Outcome) : undefined;
}

/**
 * The code, in this library's own terms, of what ended the call with `error`: of an error of the
 * verifier, the channel or the transport. `undefined` when the enclave or the caller ended it.
 */
export function codeOf(error: unknown): ErrorCode | undefined {
  const code = local(error, CODE_KEY);
  return code !== undefined && Object.hasOwn(STATUS_OF_CODE, code)
    ? (code as ErrorCode)
    : undefined;
}

function local(error: unknown, key: string): string | undefined {
  if (typeof error !== "object" || error === null || !("metadata" in error)) return undefined;
  const { metadata } = error;
  if (!(metadata instanceof Metadata)) return undefined;
  const value = metadata.get(key)[0];
  return typeof value === "string" ? value : undefined;
}
