/** `sealrpc`: the client. */

export { AttestationError, type AttestationErrorCode } from "../../attestation/errors.ts";
export type { ReleaseManifest } from "../../attestation/manifest-content.ts";
export {
  type ManifestPolicyOptions,
  Policy,
  type PolicyOptions,
  parsePolicyFile,
} from "../../attestation/policy.ts";
export type { Release, ReleaseStatus } from "../../attestation/release.ts";
export type { SignerJwk, SignerKey } from "../../attestation/release-manifest.ts";
export type { Claims, VerifiedEvidence } from "../../attestation/verified-evidence.ts";
export type { Outcome } from "../../channel/call-events.ts";
export { serviceDefinition, type ServiceDefinition } from "../grpc/service-definition.ts";
export type { Entry, ResponseHeader } from "../../channel/call-message.ts";
export { AttestedChannel, type RawCallOptions } from "./attested-channel.ts";
export type { SealedAuthContext } from "./call.ts";
export { CallError } from "./call-error.ts";
export type { AttestedChannelOptions, ClientAttester } from "./channel-options.ts";
export { type Client, createClient } from "./create-client.ts";
export { readPolicyFile, type ReleaseManifestSource } from "./policy-file.ts";
export type { Requests } from "./requests.ts";
export type { CallReceiver, SealedCall } from "./sealed-call.ts";
export { type CallStatus, codeOf, type ErrorCode, localTrailers, outcomeOf } from "./status.ts";
export type { CallOptions } from "./typed-call.ts";
