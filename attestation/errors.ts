/** The one error of the verifier and the attester, with a closed set of codes. */

/** docs/protocol.md has the table of codes and what a caller does about each. */
export type AttestationErrorCode =
  | "malformed-evidence"
  | "not-an-enclave"
  | "untrusted-chain"
  | "certificate-expired"
  | "certificate-not-yet-valid"
  | "bad-signature"
  | "stale-evidence"
  | "challenge-mismatch"
  | "binding-mismatch"
  | "instance-mismatch"
  | "debug-enclave"
  | "measurement-mismatch"
  | "release-revoked"
  | "release-not-current"
  | "manifest-rejected"
  | "manifest-rolled-back"
  | "manifest-expired"
  | "nsm-unavailable";

/**
 * Evidence was refused, or could not be made. The code names the first check that failed, in the
 * order of docs/protocol.md. Never retried automatically, except `nsm-unavailable`.
 */
export class AttestationError extends Error {
  override readonly name = "AttestationError";
  readonly code: AttestationErrorCode;

  constructor(code: AttestationErrorCode, message: string, options?: ErrorOptions) {
    super(`[${code}] ${message}`, options);
    this.code = code;
  }
}
