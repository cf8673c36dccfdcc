import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { dirname, join } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { signReleaseManifest } from "../../attestation/release-manifest.ts";
import type { Claims } from "../../attestation/verified-evidence.ts";
import { manifestWith, signer } from "../support/manifest.ts";
import {
  moduleId,
  rootPemOfSignedEvidence,
  signedAtMs,
  signedEvidence,
} from "../support/signed-evidence.ts";
import type { Task } from "../support/without-node.ts";

const dist = join(dirname(fileURLToPath(import.meta.url)), "..", "..");

describe("the verifier without Node", () => {
  const claimsOf = (changes: Pick<Task, "policy" | "manifest">): Claims => {
    const task: Task = {
      dist,
      root: dirname(dist),
      evidence: Buffer.from(signedEvidence()).toString("hex"),
      now: signedAtMs,
      ...changes,
    };
    const program = join(dist, "test", "support", "without-node.js");
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      ["--experimental-vm-modules", "--no-warnings", program],
      { encoding: "utf8", input: JSON.stringify(task) },
    );
    assert.equal(status, 0, stderr);
    return JSON.parse(stdout) as Claims;
  };
  const insecureTestRoot = rootPemOfSignedEvidence;

  it("verifies evidence where there is neither Node's module nor its globals", () => {
    const { moduleId: found } = claimsOf({
      policy: { insecureAnyMeasurement: true, insecureTestRoot },
    });
    assert.equal(found, moduleId);
  });

  it("verifies a release manifest there, with WebCrypto", async () => {
    const content = manifestWith({ issuedAtMs: signedAtMs, expiresAtMs: signedAtMs + 1 });
    const manifest = await signReleaseManifest(content, signer.privateKey);
    const signerKey = signer.publicKey;
    const { moduleId: found } = claimsOf({
      policy: { signerKey, now: signedAtMs, insecureTestRoot },
      manifest,
    });
    assert.equal(found, moduleId);
  });
});
