/** What a handshake leaves behind and a session starts from (docs/protocol.md §4). */
import type { VerifiedEvidence } from "../attestation/verified-evidence.ts";
import type { SuiteId } from "./suite.ts";

/** The terms of a session, chosen by the enclave and sealed in ServerFinished. */
export interface SessionTerms {
  readonly maxAgeMs: number;
  readonly maxIdleMs: number;
  readonly maxConcurrentCalls: number;
  readonly maxDelayMs: number;
  /** Bytes that the enclave receives per call before it grants more. */
  readonly initialCredit: number;
}

/** Keys and terms on which both sides agreed; each side holds its own view. */
export interface Established {
  readonly suite: SuiteId;
  /** ts[0] of the direction that this side sends in; 32 bytes. */
  readonly sendSecret: Uint8Array;
  /** ts[0] of the direction that this side receives in; 32 bytes. */
  readonly receiveSecret: Uint8Array;
  readonly exporterSecret: Uint8Array;
  readonly terms: SessionTerms;
  /** Bytes per call that the peer receives before it grants more. */
  readonly sendCredit: number;
  /** Bytes per call that this side receives before it grants more. */
  readonly receiveCredit: number;
  /** The enclave's evidence at a client; the caller's, if it had to show any, in the enclave. */
  readonly evidence: VerifiedEvidence | undefined;
}
