import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { RunningProgram, runProgram } from "../support/processes.ts";

describe("sealrpc attest", { timeout: 60_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), "attest-"));
  const policyFile = join(folder, "policy.json");
  const target = `unix:${join(folder, "enclave.sock")}`;
  let enclave: RunningProgram;
  let policy: { referenceValues: [{ pcr0: string }]; insecureTestRoot: string };
  before(async () => {
    enclave = new RunningProgram("examples/notary/enclave.js", {
      args: ["--listen", target, "--attester", "simulator", "--write-policy", policyFile],
    });
    await enclave.says(/listening on/);
    policy = JSON.parse(readFileSync(policyFile, "utf8")) as typeof policy;
  });
  after(async () => {
    await enclave.stop();
    rmSync(folder, { recursive: true });
  });

  const attest = (...args: readonly string[]): ReturnType<typeof runProgram> =>
    runProgram("cli/main.js", "attest", ...args);
  const written = (value: object): string => {
    const file = join(folder, "other.json");
    writeFileSync(file, JSON.stringify(value));
    return file;
  };

  it("verifies a live enclave and prints what it is", async () => {
    const { status, stdout, stderr } = await attest(target, "--policy", policyFile);
    assert.equal(status, 0, stderr);
    assert.match(stdout, /^verdict +verified/);
    assert.match(stdout, /module_id +i-[0-9a-f]{17}-enc[0-9a-f]{16}/);
    const [{ pcr0 }] = policy.referenceValues;
    assert.match(stdout, new RegExp(`PCR0 +${pcr0} +as expected`));
    assert.match(stdout, /PCR4 +[0-9a-f]{96}\n/);
    assert.match(stderr, /SIMULATED/);
    assert.doesNotMatch(stderr, /NOT COMPARED/);
  });

  it("prints facts as JSON", async () => {
    const { status, stdout } = await attest(target, "--policy", policyFile, "--json");
    assert.equal(status, 0);
    const facts = JSON.parse(stdout) as { verdict: string; notes: string[]; pcrs: object };
    assert.equal(facts.verdict, "verified");
    assert.equal((facts.pcrs as string[])[0], policy.referenceValues[0].pcr0);
    assert.match(facts.notes.join(), /SIMULATED/);
  });

  it("refuses an enclave that AWS's root does not vouch for", async () => {
    const { status, stdout, stderr } = await attest(target);
    assert.equal(status, 1);
    assert.match(stderr, /\[untrusted-chain\]/);
    assert.equal(stdout, "");
  });

  it("refuses an enclave that runs another image", async () => {
    const other = { ...policy, referenceValues: [{ pcr0: "ab".repeat(48) }] };
    const { status, stdout, stderr } = await attest(target, "--policy", written(other), "--json");
    assert.equal(status, 1);
    assert.match(stderr, /\[measurement-mismatch\]/);
    const { verdict, code } = JSON.parse(stdout) as { verdict: string; code: string };
    assert.deepEqual([verdict, code], ["refused", "measurement-mismatch"]);
  });

  it("says so when measurements are not compared", async () => {
    const { insecureTestRoot } = policy;
    const any = written({ insecureTestRoot, insecureAnyMeasurement: true });
    const { status, stdout, stderr } = await attest(target, "--policy", any);
    assert.equal(status, 0);
    assert.match(stderr, /MEASUREMENTS NOT COMPARED/);
    assert.match(stdout, /MEASUREMENTS NOT COMPARED/);
    assert.doesNotMatch(stdout, /as expected/);
  });

  it("fails with a code when nobody is there", async () => {
    const absent = `unix:${join(folder, "absent.sock")}`;
    const { status, stderr } = await attest(absent, "--policy", policyFile);
    assert.equal(status, 1);
    assert.match(stderr, /\[unreachable\]/);
  });

  it("refuses a bad policy and bad usage with status 2, before it connects", async () => {
    for (const args of [
      [target, "--policy", written({ referenceValues: [] })],
      [target, "--policy", written({ referenceValues: [{ pcr0: "00".repeat(48) }] })],
      [target, "--policy", written({ pcr0: "ab".repeat(48) })],
      [target, "--timeout", "soon"],
      [target, "--timeout", "0s"],
      [],
    ]) {
      const { status, stdout, stderr } = await attest(...args);
      assert.equal(status, 2, args.join(" "));
      assert.match(stderr, /^error: /);
      assert.equal(stdout, "");
    }
  });
});
