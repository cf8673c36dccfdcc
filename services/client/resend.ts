/**
 * May a call be sent again, and what is known of it after several attempts (docs/protocol.md §9,
 * §10)? Pure decisions; `sealed-call.ts` carries them out.
 */
import { status as Code } from "@grpc/grpc-js";

import type { CallEnd, Outcome } from "../../channel/call-events.ts";
import { statusCode } from "./status-code.ts";

/** Sealed attempts of a call, the first included. */
export const MAX_SEALED_ATTEMPTS = 3;
/** Bytes of request messages that are kept for one call; beyond it the call is committed. */
export const MAX_KEPT_CALL_BYTES: number = 256 * 1024;
/** Bytes of request messages that are kept for all calls of a channel. */
export const MAX_KEPT_CHANNEL_BYTES: number = 16 * 1024 * 1024;
/** Wait before a call that was refused for capacity is tried elsewhere. */
export const CAPACITY_DELAY_MS = 100;

/**
 * - `no`: the end is the call's end.
 * - `at-once`: on another session, which may have to be opened.
 * - `on-open-session`: after `CAPACITY_DELAY_MS`, on another session if one is open by then.
 * - `after-back-off`: on another session, after a wait with jitter.
 */
export type Resend = "no" | "at-once" | "on-open-session" | "after-back-off";

/**
 * The rule for one attempt that ended with `end`. It holds only while nothing of the answer was
 * given to the application, the whole request so far is kept, and fewer than `MAX_SEALED_ATTEMPTS`
 * were sealed.
 *
 * Invariant: a call that was sealed is repeated only if the enclave said, sealed, that it has not
 * run and never will, or if its method is declared idempotent. Nothing that the host can say by
 * itself makes a call run twice.
 */
export function resendRule(end: CallEnd, idempotent: boolean): Resend {
  switch (end.kind) {
    case "unsealed":
    case "goaway":
      return "at-once";
    case "refused":
      if (!end.elsewhere) return "no";
      return statusCode(end.status.code) === Code.RESOURCE_EXHAUSTED
        ? "on-open-session"
        : "at-once";
    case "lost":
      return idempotent ? "after-back-off" : "no";
    case "status":
    case "deadline":
    case "cancelled":
    case "local":
      return "no";
  }
  return end satisfies never;
}

/**
 * Whether the session is to blame: it drains, or takes so long that others would be refused as well.
 * Nothing more is opened on it.
 */
export function blamesSession(end: CallEnd): boolean {
  return end.kind === "refused" && resendRule(end, false) === "at-once";
}

/** Whether the attempt that ended so had left, or may have left, this side. */
export function wasSealed(end: CallEnd): boolean {
  switch (end.kind) {
    case "status":
    case "refused":
    case "goaway":
    case "lost":
      return true;
    case "unsealed":
      return false;
    case "deadline":
    case "cancelled":
    case "local":
      return end.sealed;
  }
  return end satisfies never;
}

/** What one attempt that ended so tells of the call. */
export function outcomeOfAttempt(end: CallEnd): Outcome {
  switch (end.kind) {
    case "status":
      return "executed";
    case "refused":
    case "goaway":
    case "unsealed":
      return "not-executed";
    case "lost":
      return "unknown";
    case "deadline":
    case "cancelled":
    case "local":
      return end.sealed ? "unknown" : "not-executed";
  }
  return end satisfies never;
}

/**
 * What all attempts of a call tell together. Invariant: once one was `unknown`, no later attempt
 * that was not executed makes the call not-executed.
 */
export function combineOutcomes(earlier: Outcome, last: Outcome): Outcome {
  if (last === "executed") return "executed";
  return earlier === "unknown" ? "unknown" : last;
}
