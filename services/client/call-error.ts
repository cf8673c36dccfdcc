/** The error that a typed call rejects with; the same shape as grpc-js's ServiceError. */
import { status as Code } from "@grpc/grpc-js";
import type { Metadata, ServiceError } from "@grpc/grpc-js";

import type { Outcome } from "../../channel/call-events.ts";
import { statusObject } from "./status.ts";
import type { CallStatus } from "./status.ts";

/**
 * A call that did not end with OK. `outcome` says whether its handler ran: only what is
 * `not-executed` may be repeated without a thought.
 */
export class CallError extends Error implements ServiceError {
  override readonly name = "CallError";
  /** A gRPC status code. */
  readonly code: Code;
  readonly details: string;
  /** The trailers, and what this side knows of the call under `sealrpc-*`. */
  readonly metadata: Metadata;
  readonly outcome: Outcome;

  constructor(status: CallStatus, options?: ErrorOptions) {
    const { code, details, metadata } = statusObject(status);
    super(`${code} ${Code[code]}: ${details}`, options);
    this.code = code;
    this.details = details;
    this.metadata = metadata;
    this.outcome = status.outcome;
  }
}
