/** `sealrpc/attestation`: verifying what an AWS Nitro Enclave says about itself. */

export { AttestationError, type AttestationErrorCode } from "./errors.ts";
export type { ReleaseManifest } from "./manifest-content.ts";
export {
  type ManifestPolicyOptions,
  parsePolicyFile,
  Policy,
  type PolicyOptions,
} from "./policy.ts";
export type { ReferenceValues } from "./reference-values.ts";
export type { Release, ReleaseStatus } from "./release.ts";
export {
  type ManifestVerifyOptions,
  type SignerJwk,
  type SignerKey,
  signReleaseManifest,
  verifyReleaseManifest,
} from "./release-manifest.ts";
export { type Claims, VerifiedEvidence, type VerifyOptions } from "./verified-evidence.ts";
