import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { dirname, join } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";

const main = join(dirname(fileURLToPath(import.meta.url)), "..", "support", "bare-realm-main.js");

describe("the channel and the verifier on the portable backend", () => {
  it("run where nothing of Node is", () => {
    const flags = ["--experimental-vm-modules", "--no-warnings"];
    const { stdout, stderr } = spawnSync(process.execPath, [...flags, main], { encoding: "utf8" });
    assert.equal(stderr, "");
    assert.deepEqual(JSON.parse(stdout), {
      globals: [],
      received: ["sealed by suite 1", "sealed by suite 2"],
    });
  });
});
