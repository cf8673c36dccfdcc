import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { type Finished, RunningProgram } from "../support/processes.ts";

const hasOpenssl = spawnSync("openssl", ["version"]).status === 0;

describe("npm run demo", { timeout: 120_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), "demo-test-"));
  const file = join(folder, "it's a letter.txt");
  after(() => rmSync(folder, { recursive: true }));

  const demo = (...args: readonly string[]): Promise<Finished> =>
    // The demo leaves key and receipt in its folder for temporary files.
    new RunningProgram("examples/notary/demo.js", { args, env: { TMPDIR: folder } }).finished;

  it("shows both sides, finds nothing in the host's, and verifies the receipt", async () => {
    writeFileSync(file, "For your eyes only: the treasure lies under the old oak.\n".repeat(200));
    const { status, stdout, stderr } = await demo(file);
    assert.equal(stderr, "");
    assert.equal(status, 0);
    assert.match(stdout, /SIMULATED/);
    assert.match(stdout, /module i-[0-9a-f]{17}-enc[0-9a-f]{16}/);
    assert.match(stdout, /PCR0 [0-9a-f]{30}/);
    assert.match(stdout, /release 1\.0\.0, current/);
    const kinds = ["unary", "client streaming", "server streaming", "bidirectional"];
    for (const kind of kinds) assert.ok(stdout.includes(`(${kind})`), kind);
    assert.match(stdout, /"For your/);
    for (const what of ["method name", "metadata", "document", "digest", "signature"]) {
      assert.match(stdout, new RegExp(`${what} +not found +found\n`));
    }
    assert.match(stdout, /sealed {2}\/sealrpc\.v1\.AttestedChannelService\/Connect\n/);
    assert.match(stdout, /plain {3}\/notary\.v1\.NotaryService\/UploadDocument\n/);
    if (hasOpenssl) assert.match(stdout, /Verified OK/);
  });

  it("prints a command that verifies the receipt, and refuses another file", (t) => {
    if (!hasOpenssl) {
      t.skip("needs openssl");
      return;
    }
    const [made = ""] = readdirSync(folder).filter((name) => name.startsWith("sealrpc-demo-"));
    const verified = (document: string): boolean => {
      const { stdout: digest } = spawnSync("openssl", ["dgst", "-sha256", "-binary", document]);
      const [key, signature] = [
        join(folder, made, "notary.pem"),
        join(folder, made, "receipt.sig"),
      ];
      const args = ["dgst", "-sha256", "-verify", key, "-signature", signature];
      return spawnSync("openssl", args, { input: digest }).status === 0;
    };
    assert.equal(verified(file), true);
    writeFileSync(file, "another letter");
    assert.equal(verified(file), false);
  });

  it("leaves the key and the receipt, and nothing else", () => {
    const [made = ""] = readdirSync(folder).filter((name) => name.startsWith("sealrpc-demo-"));
    assert.deepEqual(readdirSync(join(folder, made)).sort(), ["notary.pem", "receipt.sig"]);
  });

  it("takes an empty file, and a large one of arbitrary bytes", async () => {
    for (const bytes of [Buffer.alloc(0), randomBytes(3_000_000)]) {
      writeFileSync(file, bytes);
      const { status, stdout } = await demo(file);
      assert.equal(status, 0, stdout);
    }
  });

  it("says what to do when there is no such file", async () => {
    const { status, stderr } = await demo(join(folder, "absent"));
    assert.match(stderr, /absent is no file\. Usage: npm run demo -- FILE/);
    assert.equal(status, 1);
  });
});
