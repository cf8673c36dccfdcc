/** The way past grpc-js's handlers: calls of any method, as bytes. */
import type { VerifiedEvidence } from "../../attestation/verified-evidence.ts";
import type { EnclaveCallEvents } from "../../channel/call-events.ts";
import type { RequestHeader } from "../../channel/call-message.ts";
import type { OpenCall } from "./open-call.ts";

/**
 * Serves the calls of methods that the server does not know, for whoever forwards them: messages
 * with their compression flag, metadata as entries. It refuses the call, or calls `start` in the
 * step in which what it stands for begins, and `release` when that has ended. It must not throw, and
 * its events neither.
 *
 * `caller`: what the caller of a mutual session showed, verified.
 */
export type RawHandler = (
  call: OpenCall,
  header: RequestHeader,
  caller: VerifiedEvidence | undefined,
) => EnclaveCallEvents;
