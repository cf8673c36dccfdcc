/**
 * One case of the attack catalogue: evidence with one fault, made with a PKI of the tests' own, and
 * the code that the verifier must refuse it with; or evidence that it must not refuse.
 */
import assert from "node:assert/strict";
import type { AttestationErrorCode } from "../../../attestation/errors.ts";
import { Policy, type PolicyOptions, VerifiedEvidence } from "../../../attestation/index.ts";
import type { CryptoBackend } from "../../../crypto/backend.ts";
import { chain, CHALLENGE, registers } from "../../support/test-document.ts";
import { NOW } from "../../support/test-pki.ts";

export interface Attack {
  readonly name: string;
  readonly verdict: "accepted" | AttestationErrorCode;
  readonly evidence: () => Uint8Array;
  /** `policyWith()` unless given. */
  readonly policy?: () => PolicyOptions;
  /** CHALLENGE unless given; `null` verifies without one. */
  readonly challenge?: Uint8Array | null;
  readonly userData?: Uint8Array;
  /** NOW unless given. */
  readonly now?: number;
}

export const expectedPcr0: string = Buffer.from(registers().get(0)!).toString("hex");

/** The policy that pins the test root and PCR0 of the expected image, with other options over it. */
export function policyWith(options: PolicyOptions = {}): () => PolicyOptions {
  return () => ({
    referenceValues: [{ pcr0: expectedPcr0 }],
    insecureTestRoot: chain.root.der,
    ...options,
  });
}

/** Verifies the evidence and asserts the verdict. */
export function judge(attack: Attack, backend: CryptoBackend): void {
  const { verdict, challenge = CHALLENGE, userData, now = NOW } = attack;
  const policy = Policy.from((attack.policy ?? policyWith())());
  const evidence = attack.evidence();
  const verify = () =>
    VerifiedEvidence.verify(evidence, {
      policy,
      now,
      backend,
      ...(challenge && { challenge }),
      ...(userData && { userData }),
    });
  if (verdict === "accepted") {
    assert.ok(verify() instanceof VerifiedEvidence);
  } else {
    assert.throws(verify, { name: "AttestationError", code: verdict });
  }
}
