/** Live sessions while the releases of their service change. */
import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Client, credentials, type ServiceError, status as Code } from "@grpc/grpc-js";
import { type ManifestPolicyOptions, Policy } from "../../attestation/policy.ts";
import { signReleaseManifest } from "../../attestation/release-manifest.ts";
import type { ReleaseStatus } from "../../attestation/release.ts";
import { AttestedChannel } from "../../services/client/attested-channel.ts";
import { codeOf, outcomeOf } from "../../services/client/status.ts";
import { makeSigner, manifestWith, pcr, service } from "../support/manifest.ts";
import { PlayedEnclave, echo } from "../support/played-enclave.ts";

const hourMs = 3_600_000;
const asIs = (value: Buffer): Buffer => value;
const signer = makeSigner();
let enclave: PlayedEnclave;
let channel: AttestedChannel;

before(async () => {
  enclave = await PlayedEnclave.start();
});
after(() => enclave.stop());
afterEach(() => {
  channel.close();
  enclave.onCall = echo;
});

/** The policy of a manifest in which the enclave's image has that status. */
async function policyWhere(
  status: ReleaseStatus,
  options: Partial<ManifestPolicyOptions> = {},
  issuedAtMs = Date.now(),
): Promise<Policy> {
  const { referenceValues = [], insecureTestRoot = "" } = enclave.policy;
  const other = { version: "2.0.0", referenceValues: [{ pcr0: pcr(0xee) }] };
  const otherStatus = status === "current" ? "supported" : "current";
  const releases = [
    { version: "1.0.0", status, referenceValues },
    { ...other, status: otherStatus } as const,
  ];
  const content = manifestWith({ issuedAtMs, expiresAtMs: issuedAtMs + hourMs, releases });
  const text = await signReleaseManifest(content, signer.privateKey);
  return Policy.fromManifest(text, {
    signerKey: signer.publicKey,
    service,
    insecureTestRoot,
    now: issuedAtMs,
    ...options,
  });
}

async function call(): Promise<ServiceError | null> {
  const client = new Client("", credentials.createInsecure(), { channelOverride: channel });
  return new Promise((resolve) => {
    client.makeUnaryRequest("/a.B/C", asIs, asIs, Buffer.from("x"), (error) => resolve(error));
  });
}

async function refusedWith(code: string): Promise<void> {
  const error = await call();
  assert.equal(error?.code, Code.UNAUTHENTICATED);
  assert.equal(codeOf(error), code);
  assert.equal(outcomeOf(error), "not-executed");
}

describe("a channel whose policy is of a release manifest", () => {
  it("keeps the session while the release stays admitted, across manifests", async () => {
    channel = new AttestedChannel(enclave.address, { policy: await policyWhere("current") });
    assert.equal(await call(), null);
    const streams = enclave.streams.length;
    channel.updatePolicy(await policyWhere("supported", { accept: "supported" }));
    assert.equal(await call(), null);
    assert.equal(enclave.streams.length, streams);
  });

  for (const [status, code] of [
    ["revoked", "release-revoked"],
    ["supported", "release-not-current"],
  ] as const) {
    it(`ends the session when its release becomes ${status}: ${code}`, async () => {
      channel = new AttestedChannel(enclave.address, { policy: await policyWhere("current") });
      const reached = new Promise<void>((resolve) => {
        enclave.onCall = (entry) => {
          resolve();
          return { ...echo(entry), onHalfClose: () => {} };
        };
      });
      const running = call();
      await reached;
      channel.updatePolicy(await policyWhere(status));
      const error = await running;
      assert.equal(error?.code, Code.UNAVAILABLE);
      assert.equal(outcomeOf(error), "unknown");
      await refusedWith(code);
    });
  }

  it("opens no session any more when the manifest has expired", async () => {
    const policy = await policyWhere("current", {}, Date.now() - 2 * hourMs);
    channel = new AttestedChannel(enclave.address, { policy });
    await refusedWith("manifest-expired");
    channel.updatePolicy(await policyWhere("current"));
    while ((await call()) !== null) await sleep(20);
  });
});
