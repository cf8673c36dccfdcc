/**
 * How a handshake has evidence verified (docs/protocol.md §4.1, §12). The verifier is a callback, so
 * that the channel knows nothing of formats, roots and policies; what it must not get wrong, the
 * ties to this handshake, is checked here a second time.
 */
import type { VerifiedEvidence } from "../attestation/verified-evidence.ts";
import { ChannelError } from "./errors.ts";
import { equalBytes } from "./notation.ts";

/** What evidence must say to belong to one handshake. */
export interface EvidenceBinding {
  /** Its nonce, byte for byte. */
  readonly challenge: Uint8Array;
  /** Its user_data, byte for byte. */
  readonly userData: Uint8Array;
  /** The length of its public_key; 0: absent or empty. */
  readonly publicKeyBytes: 0 | 32;
}

/**
 * Verifies evidence completely, the binding included, or throws. An AttestationError passes through
 * the handshake unchanged.
 */
export type VerifyEvidence = (evidence: Uint8Array, binding: EvidenceBinding) => VerifiedEvidence;

/**
 * Has evidence verified.
 *
 * Invariant: nothing that is not bound to this handshake gets past here, whatever `verify` forgot.
 *
 * @throws what `verify` throws; ChannelError `malformed-handshake` for what it should have thrown.
 */
export function verifyBound(
  verify: VerifyEvidence,
  evidence: Uint8Array,
  binding: EvidenceBinding,
): VerifiedEvidence {
  const verified = verify(evidence, binding);
  const { challenge, userData, publicKey } = verified;
  if (
    challenge === undefined ||
    userData === undefined ||
    !equalBytes(challenge, binding.challenge) ||
    !equalBytes(userData, binding.userData) ||
    (publicKey?.length ?? 0) !== binding.publicKeyBytes
  ) {
    throw new ChannelError("malformed-handshake", "evidence that is not bound to this handshake");
  }
  return verified;
}
