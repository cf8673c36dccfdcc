/** `sealrpc/attestation`: verifying what an AWS Nitro Enclave says about itself. */

export { AttestationError, type AttestationErrorCode } from "./errors.ts";
export { parsePolicyFile, Policy, type PolicyOptions } from "./policy.ts";
export type { ReferenceValues } from "./reference-values.ts";
export { type Claims, VerifiedEvidence, type VerifyOptions } from "./verified-evidence.ts";
