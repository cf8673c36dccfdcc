/** Whom a server admits (docs/protocol.md §12): a policy that may be replaced while it runs. */
import { Policy } from "../../attestation/policy.ts";
import type { PolicyOptions } from "../../attestation/policy.ts";
import { VerifiedEvidence } from "../../attestation/verified-evidence.ts";
import type { EvidenceBinding } from "../../channel/evidence.ts";

export class CallerPolicy {
  #policy: Policy;

  /** @throws TypeError or RangeError for a policy that is none. */
  constructor(policy: Policy | PolicyOptions) {
    this.#policy = policyOf(policy);
  }

  /** @throws TypeError or RangeError for a policy that is none; the old one stays. */
  replace(policy: Policy | PolicyOptions): void {
    this.#policy = policyOf(policy);
  }

  /** @throws AttestationError for evidence of a caller who is not admitted. */
  verify(evidence: Uint8Array, binding: EvidenceBinding, nowMs: number): VerifiedEvidence {
    return VerifiedEvidence.verify(evidence, { ...binding, policy: this.#policy, now: nowMs });
  }

  /** Whether a caller who was admitted would be so now. */
  readmits(caller: VerifiedEvidence | undefined): boolean {
    try {
      caller?.reappraise(this.#policy);
      return caller !== undefined;
    } catch {
      return false;
    }
  }
}

function policyOf(policy: Policy | PolicyOptions): Policy {
  return Policy.is(policy) ? policy : Policy.from(policy);
}
