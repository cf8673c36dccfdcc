/**
 * Evidence without a signature: the three values that bind it, each length-prefixed. It stands in
 * where a test is about the handshake and must be the same on every run. The verifier compares the
 * values as the real one does; real evidence goes through the handshake in its own test.
 */
import { AttestationError } from "../../attestation/errors.ts";
import type { VerifiedEvidence } from "../../attestation/verified-evidence.ts";
import type { EvidenceBinding } from "../../channel/evidence.ts";
import { concat, equalBytes, lengthPrefixed } from "../../channel/notation.ts";

export interface BoundValues {
  readonly nonce: Uint8Array;
  readonly userData: Uint8Array;
  readonly publicKey?: Uint8Array;
}

export function plainEvidence({ nonce, userData, publicKey }: BoundValues): Uint8Array {
  const parts = [nonce, userData, publicKey ?? new Uint8Array(0)];
  return concat(...parts.map(lengthPrefixed));
}

/** What the evidence says, with nothing compared. */
export function readPlainEvidence(evidence: Uint8Array): VerifiedEvidence {
  const values: Uint8Array[] = [];
  for (let at = 0; at < evidence.length;) {
    const length = new DataView(evidence.buffer, evidence.byteOffset + at).getUint32(0);
    values.push(evidence.slice(at + 4, at + 4 + length));
    at += 4 + length;
  }
  const [challenge, userData, publicKey] = values;
  return { challenge, userData, publicKey } as unknown as VerifiedEvidence;
}

export function verifyPlainEvidence(
  evidence: Uint8Array,
  binding: EvidenceBinding,
): VerifiedEvidence {
  const verified = readPlainEvidence(evidence);
  const { challenge = new Uint8Array(0), userData = new Uint8Array(0), publicKey } = verified;
  if (!equalBytes(challenge, binding.challenge)) {
    throw new AttestationError("challenge-mismatch", "another handshake's");
  }
  if (!equalBytes(userData, binding.userData) || publicKey?.length !== binding.publicKeyBytes) {
    throw new AttestationError("binding-mismatch", "another handshake's");
  }
  return verified;
}
