import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as x509 from "@peculiar/asn1-x509";
import type { AttestationErrorCode } from "../../../attestation/errors.ts";
import { Policy } from "../../../attestation/index.ts";
import { nodeBackend } from "../../../crypto/node.ts";
import { genuineEvidenceIsAbsent } from "../../support/genuine-evidence.ts";
import {
  basicConstraints,
  type Edit,
  keyUsage,
  makeChain,
  withExtension,
  withoutExtension,
} from "../../support/test-pki.ts";
import { type Attack, judge, policyWith } from "./attack.ts";
import { genuine, made } from "./groups.ts";

function judgeAll(attacks: readonly Attack[]): void {
  for (const attack of attacks) {
    it(`${attack.name}: ${attack.verdict}`, () => judge(attack, nodeBackend));
  }
}

describe("the attack catalogue, with node:crypto", () => {
  for (const [group, attacks] of Object.entries(made)) {
    describe(group, () => judgeAll(attacks));
  }

  describe("genuine", { skip: genuineEvidenceIsAbsent }, () => judgeAll(genuine));

  it("names every case once", () => {
    const names = [...Object.values(made).flat(), ...genuine].map(({ name }) => name);
    assert.deepEqual(
      names.filter((name, index) => names.indexOf(name) !== index),
      [],
    );
  });

  it("reaches every code of the verifier", () => {
    // Of the attester, and of manifests, which are no evidence.
    type Other = "nsm-unavailable" | `manifest-${string}` | `release-${string}`;
    const codes: Record<Exclude<AttestationErrorCode, Other>, true> = {
      "malformed-evidence": true,
      "not-an-enclave": true,
      "untrusted-chain": true,
      "certificate-expired": true,
      "certificate-not-yet-valid": true,
      "bad-signature": true,
      "stale-evidence": true,
      "challenge-mismatch": true,
      "binding-mismatch": true,
      "instance-mismatch": true,
      "debug-enclave": true,
      "measurement-mismatch": true,
    };
    const reached = new Set(
      Object.values(made).flatMap((attacks) => attacks.map(({ verdict }) => verdict)),
    );
    assert.deepEqual([...reached].sort(), ["accepted", ...Object.keys(codes)].sort());
  });
});

describe("a root that is no authority", () => {
  const edits: Record<string, Edit> = {
    "CA:FALSE": withExtension(basicConstraints({ cA: false })),
    "no basicConstraints": withoutExtension(x509.id_ce_basicConstraints),
    "no keyCertSign": withExtension(keyUsage(x509.KeyUsageFlags.cRLSign)),
    "no keyUsage": withoutExtension(x509.id_ce_keyUsage),
  };
  for (const [fault, root] of Object.entries(edits)) {
    it(`is refused before any evidence is: ${fault}`, () => {
      const options = policyWith({ insecureTestRoot: makeChain({ root }).root.der });
      assert.throws(() => Policy.from(options()), TypeError);
    });
  }
});
