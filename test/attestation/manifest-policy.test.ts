import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type ManifestPolicyOptions, Policy } from "../../attestation/policy.ts";
import { signReleaseManifest } from "../../attestation/release-manifest.ts";
import { VerifiedEvidence } from "../../attestation/verified-evidence.ts";
import { hasCode } from "../support/error-code.ts";
import { manifestWith, pcr, releases, service, signer } from "../support/manifest.ts";
import {
  registersWith,
  rootPemOfSignedEvidence,
  signedAtMs,
  signedEvidence,
} from "../support/signed-evidence.ts";

const now = signedAtMs;
const day = 86_400_000;
const content = manifestWith({ issuedAtMs: now - day, expiresAtMs: now + day });
const text = await signReleaseManifest(content, signer.privateKey);

const policyOf = (options: Partial<ManifestPolicyOptions> = {}, manifest = text) =>
  Policy.fromManifest(manifest, {
    signerKey: signer.publicKey,
    service,
    insecureTestRoot: rootPemOfSignedEvidence,
    now,
    ...options,
  });
/** Evidence of an enclave whose PCR0 is filled with that byte. */
const evidenceOf = (byte: number) =>
  signedEvidence({ pcrs: registersWith({ 0: new Uint8Array(48).fill(byte) }) });
const verify = (byte: number, policy: Policy, at = now) =>
  VerifiedEvidence.verify(evidenceOf(byte), { policy, now: at });

describe("a policy of a manifest", () => {
  it("admits the current release alone", async () => {
    const policy = await policyOf();
    assert.equal(policy.releaseOf(verify(1, policy).claims)?.version, "2.0.0");
    assert.throws(
      () => verify(2, policy),
      hasCode("release-not-current", /expected release 2\.0\.0, received 1\.9\.0/),
    );
    assert.throws(() => verify(3, policy), hasCode("release-revoked", /1\.8\.0/));
    assert.throws(() => verify(4, policy), hasCode("measurement-mismatch"));
  });

  it("admits supported releases where they were asked for, and revoked ones never", async () => {
    const policy = await policyOf({ accept: "supported" });
    for (const [byte, version] of [
      [1, "2.0.0"],
      [2, "1.9.0"],
    ] as const) {
      assert.equal(policy.releaseOf(verify(byte, policy).claims)?.version, version);
    }
    assert.throws(() => verify(3, policy), hasCode("release-revoked", /1\.8\.0/));
    assert.throws(() => verify(4, policy), hasCode("measurement-mismatch"));
  });

  it("compares every register that a release names", async () => {
    const [current, ...others] = releases;
    const pinned = (pcr1: string) =>
      signReleaseManifest(
        {
          ...content,
          releases: [{ ...current!, referenceValues: [{ pcr0: pcr(1), pcr1 }] }, ...others],
        },
        signer.privateKey,
      );
    verify(1, await policyOf({}, await pinned(pcr(2))));
    const other = await policyOf({}, await pinned(pcr(7)));
    assert.throws(() => verify(1, other), hasCode("measurement-mismatch", /PCR1/));
  });

  it("demands a deployment beside the image, any of those that were named", async () => {
    const pcr4 = Buffer.from(registersWith().at(4)?.[1] ?? []).toString("hex");
    verify(1, await policyOf({ deployments: [{ pcr3: pcr(5) }, { pcr4 }] }));
    const elsewhere = await policyOf({ deployments: [{ pcr3: pcr(5) }, { pcr3: pcr(6), pcr4 }] });
    assert.throws(() => verify(1, elsewhere), hasCode("measurement-mismatch", /PCR3/));
    const supported = await policyOf({ accept: "supported", deployments: [{ pcr3: pcr(5) }] });
    assert.throws(() => verify(2, supported), hasCode("measurement-mismatch", /PCR3/));
    assert.throws(() => verify(3, supported), hasCode("release-revoked"));
  });

  it("admits nothing any more when the manifest has expired", async () => {
    const short = { ...content, expiresAtMs: now + 1 };
    const policy = await policyOf({}, await signReleaseManifest(short, signer.privateKey));
    verify(1, policy, now + 1);
    for (const byte of [1, 2, 4]) {
      assert.throws(() => verify(byte, policy, now + 2), hasCode("manifest-expired"));
    }
  });

  it("has the manifest, whose sequence the next one must reach", async () => {
    const policy = await policyOf();
    assert.deepEqual(policy.manifest, content);
    assert.equal(policy.accept, "current");
    const { sequence } = content;
    await policyOf({ lastSequence: sequence });
    await assert.rejects(policyOf({ lastSequence: sequence + 1 }), hasCode("manifest-rolled-back"));
    const plain = Policy.from({ insecureAnyMeasurement: true });
    assert.deepEqual(
      [plain.manifest, plain.accept, plain.releaseOf({ pcrs: {} })],
      Array.from({ length: 3 }).fill(undefined),
    );
  });

  it("is refused with the manifest's own code", async () => {
    await assert.rejects(policyOf({ service: "other" }), hasCode("manifest-rejected"));
    await assert.rejects(policyOf({ now: now + day + 1 }), hasCode("manifest-expired"));
  });

  it("judges by the system's clock unless told otherwise", async () => {
    const at = Date.now();
    const fresh = { ...content, issuedAtMs: at - day, expiresAtMs: at + day };
    const { now: _, ...options } = { signerKey: signer.publicKey, service, now };
    await Policy.fromManifest(await signReleaseManifest(fresh, signer.privateKey), options);
    const old = { ...content, issuedAtMs: at - 2 * day, expiresAtMs: at - day };
    const expired = await signReleaseManifest(old, signer.privateKey);
    await assert.rejects(Policy.fromManifest(expired, options), hasCode("manifest-expired"));
  });

  it("has the other keys of a policy, with AWS's root as the default", async () => {
    const policy = await policyOf({ maxAgeMs: 5, insecureAllowDebug: true });
    assert.equal(policy.maxAgeMs, 5);
    assert.equal(policy.insecureAllowDebug, true);
    const { root } = await Policy.fromManifest(text, { signerKey: signer.publicKey, now });
    assert.deepEqual(root, Policy.from({ referenceValues: [{ pcr0: pcr(1) }] }).root);
    assert.ok(Policy.is(policy));
    assert.ok(Object.isFrozen(policy));
  });

  const misuses: Readonly<Record<string, readonly [object, RegExp]>> = {
    "reference values of its own": [{ referenceValues: [{ pcr0: pcr(1) }] }, /"referenceValues"/],
    "any measurement": [{ insecureAnyMeasurement: true }, /"insecureAnyMeasurement"/],
    "an unknown key": [{ sequence: 7 }, /"sequence"/],
    "another status to accept": [{ accept: "revoked" }, /accept: expected current or supported/],
    "no deployment": [{ deployments: [] }, /deployments/],
    "an image as a deployment": [{ deployments: [{ pcr0: pcr(1) }] }, /deployments\[0\]\.pcr0/],
    "a deployment of zeros": [{ deployments: [{ pcr3: pcr(0) }] }, /deployments\[0\]\.pcr3/],
    "no signer": [{ signerKey: undefined }, /signerKey/],
    "a wrong age": [{ maxAgeMs: 0 }, /maxAgeMs/],
  };
  for (const [name, [options, message]] of Object.entries(misuses)) {
    it(`cannot be made with ${name}`, async () => {
      await assert.rejects(policyOf(options), (error: unknown) => {
        assert.ok(error instanceof TypeError || error instanceof RangeError, String(error));
        assert.match(error.message, message);
        return true;
      });
    });
  }

  it("cannot be made without options", () =>
    assert.rejects(Policy.fromManifest(text, undefined as never), TypeError));
});

describe("evidence that is kept, when the manifest changes", () => {
  it("is appraised by the new one", async () => {
    const policy = await policyOf();
    const evidence = verify(1, policy);
    const [current, supported, revoked] = releases;
    const next = async (status: "supported" | "revoked") =>
      policyOf(
        { lastSequence: content.sequence },
        await signReleaseManifest(
          {
            ...content,
            sequence: content.sequence + 1,
            releases: [{ ...supported!, status: "current" }, { ...current!, status }, revoked!],
          },
          signer.privateKey,
        ),
      );
    evidence.reappraise(policy);
    const superseded = await next("supported");
    assert.throws(() => evidence.reappraise(superseded), hasCode("release-not-current"));
    const withdrawn = await next("revoked");
    assert.throws(() => evidence.reappraise(withdrawn), hasCode("release-revoked"));
  });
});
