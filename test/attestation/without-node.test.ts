import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { dirname, join } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import type { Claims } from "../../attestation/verified-evidence.ts";
import {
  moduleId,
  rootPemOfSignedEvidence,
  signedAtMs,
  signedEvidence,
} from "../support/signed-evidence.ts";
import type { Task } from "../support/without-node.ts";

const dist = join(dirname(fileURLToPath(import.meta.url)), "..", "..");

describe("the verifier without Node", () => {
  it("verifies evidence where there is neither Node's module nor its globals", () => {
    const task: Task = {
      dist,
      root: dirname(dist),
      evidence: Buffer.from(signedEvidence()).toString("hex"),
      policy: { insecureAnyMeasurement: true, insecureTestRoot: rootPemOfSignedEvidence },
      now: signedAtMs,
    };
    const program = join(dist, "test", "support", "without-node.js");
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      ["--experimental-vm-modules", "--no-warnings", program],
      { encoding: "utf8", input: JSON.stringify(task) },
    );
    assert.equal(status, 0, stderr);
    assert.equal((JSON.parse(stdout) as Claims).moduleId, moduleId);
  });
});
