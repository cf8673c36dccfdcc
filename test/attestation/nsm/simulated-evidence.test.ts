import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Policy, VerifiedEvidence } from "../../../attestation/index.ts";
import { Simulator } from "../../../attestation/nsm/index.ts";

const challenge = new Uint8Array(32).fill(1);

describe("evidence of the simulator, before the real verifier", () => {
  for (const outerMap of ["definite", "indefinite"] as const) {
    it(`passes a policy that names its root, with a ${outerMap} outer map`, async () => {
      const simulator = await Simulator.create({ outerMap, region: "ap-southeast-1" });
      const userData = Uint8Array.of(1, 2);
      const publicKey = Uint8Array.of(3);
      const evidence = await simulator.attest({ publicKey, userData, nonce: challenge });
      const policy = Policy.from(simulator.policyOptions());
      const verified = VerifiedEvidence.verify(evidence, { policy, challenge });
      assert.deepEqual(verified.publicKey, publicKey);
      assert.deepEqual(verified.userData, userData);
      assert.equal(verified.claims.moduleId, simulator.moduleId);
      assert.equal(verified.claims.region, "ap-southeast-1");
      assert.equal(verified.claims.debug, false);
    });
  }

  it("passes over months of renewed certificates", async () => {
    let now = Date.UTC(2026, 1, 1);
    const simulator = await Simulator.create({ now: () => now });
    const policy = Policy.from(simulator.policyOptions());
    for (let days = 0; days < 60; days += 1) {
      const evidence = await simulator.attest({});
      VerifiedEvidence.verify(evidence, { policy, now: now + 60_000 });
      now += 29 * 3_600_000;
    }
  });

  it("states 32 registers when all are locked", async () => {
    const simulator = await Simulator.create();
    for (let index = 16; index < 32; index += 1) {
      await simulator.nsm.lockPcr(index);
    }
    const policy = Policy.from(simulator.policyOptions());
    const { claims } = VerifiedEvidence.verify(await simulator.attest({}), { policy });
    assert.equal(Object.keys(claims.pcrs).length, 32);
  });

  it("is refused under the AWS root", async () => {
    const simulator = await Simulator.create();
    const { referenceValues } = simulator.policyOptions();
    const policy = Policy.from({ referenceValues });
    const evidence = await simulator.attest({});
    assert.throws(() => VerifiedEvidence.verify(evidence, { policy }), { code: "untrusted-chain" });
  });

  it("is refused under the root of another simulator", async () => {
    const [simulator, other] = [await Simulator.create(), await Simulator.create()];
    const policy = Policy.from(other.policyOptions());
    const evidence = await simulator.attest({});
    assert.throws(() => VerifiedEvidence.verify(evidence, { policy }), { code: "untrusted-chain" });
  });

  it("cannot have its root taken for another partition's", async () => {
    const simulator = await Simulator.create();
    const { referenceValues, insecureTestRoot } = simulator.policyOptions();
    assert.throws(() => Policy.from({ referenceValues, root: insecureTestRoot }), TypeError);
  });

  it("is refused in debug mode unless the policy admits that", async () => {
    const simulator = await Simulator.create({ debug: true });
    const evidence = await simulator.attest({});
    const policy = Policy.from(simulator.policyOptions());
    assert.throws(() => VerifiedEvidence.verify(evidence, { policy }), { code: "debug-enclave" });
    const lenient = Policy.from({ ...simulator.policyOptions(), insecureAllowDebug: true });
    assert.equal(VerifiedEvidence.verify(evidence, { policy: lenient }).claims.debug, true);
  });
});
