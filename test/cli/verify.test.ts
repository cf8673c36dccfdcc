import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { CommanderError } from "commander";
import { verifyCommand } from "../../cli/verify.ts";
import { genuineEvidence, genuineEvidenceIsAbsent } from "../support/genuine-evidence.ts";
import {
  moduleId,
  registersWith,
  rootOfSignedEvidence,
  rootPemOfSignedEvidence,
  signedAtMs,
  signedEvidence,
} from "../support/signed-evidence.ts";

const main = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "cli", "main.js");
const folder = mkdtempSync(join(tmpdir(), "verify-"));
const pcr = (byte: number) => new Uint8Array(48).fill(byte);
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");

function file(name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

/** Runs the program, and gives its exit status, standard output and standard error. */
function run(args: readonly string[], input: Uint8Array = new Uint8Array()) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...args], {
    encoding: "utf8",
    input,
  });
  return { status, stdout, stderr };
}

const nonce = new Uint8Array(32).fill(0xc4);
const evidence = signedEvidence({ nonce, publicKey: new Uint8Array(32).fill(9) });
const evidenceFile = file("evidence.bin", evidence);
const root = file("root.pem", rootPemOfSignedEvidence);
const at = ["--at", `${signedAtMs}`];
const here = ["--root", root, ...at];
const verify = (...args: readonly string[]) => run(["verify", evidenceFile, ...here, ...args]);

after(() => rmSync(folder, { recursive: true }));

describe("sealrpc verify", () => {
  it("prints what the enclave is, and what was and was not checked", () => {
    const { status, stdout, stderr } = verify();
    assert.equal(status, 0, stderr);
    assert.match(stdout, /^verdict {6}verified, as of 2026-03-14T15:09:26\.535Z$/m);
    assert.match(stdout, /^warning {6}NOT AWS'S ROOT/m);
    assert.match(stdout, /^checked {6}form/m);
    assert.match(stdout, /^not checked {2}challenge/m);
    assert.match(stdout, /^ {13}measurements \(--pcr\)/m);
    assert.match(stdout, new RegExp(`^module_id {4}${moduleId}$`, "m"));
    assert.match(stdout, new RegExp(`^PCR0 {9}${hex(pcr(1))}$`, "m"));
    assert.match(stdout, /^PCR8 {9}zero$/m);
    assert.match(stdout, /^public_key {3}32 bytes {2}0909/m);
    assert.match(stdout, /^user_data {4}none$/m);
    assert.match(stderr, /NOT AWS'S ROOT/);
    assert.match(stderr, /not checked: challenge/);
    assert.match(stderr, /not checked: measurements/);
  });

  it("compares the nonce and the measurements that it is given", () => {
    const { status, stdout, stderr } = verify(
      `--nonce=${hex(nonce).toUpperCase()}`,
      `--pcr=0=${hex(pcr(1))}`,
      `--pcr=2=${hex(pcr(3))}`,
    );
    assert.equal(status, 0, stderr);
    assert.doesNotMatch(stdout + stderr, /not checked/);
    assert.match(stdout, /^ +measurements: PCR0, PCR2$/m);
    assert.match(stdout, /^PCR0 .* as expected$/m);
    assert.match(stdout, /^PCR1 +[0-9a-f]{96}$/m);
  });

  it("says so when PCR0 is not among the measurements", () => {
    const { status, stderr } = verify("--pcr", `1=${hex(pcr(2))}`);
    assert.equal(status, 0, stderr);
    assert.match(stderr, /not checked: PCR0/);
  });

  it("prints the same facts as JSON", () => {
    const { status, stdout } = verify("--json");
    assert.equal(status, 0);
    const facts = JSON.parse(stdout) as Record<string, unknown>;
    assert.equal(facts["verdict"], "verified");
    assert.equal(facts["verifiedAtMs"], signedAtMs);
    assert.equal(facts["moduleId"], moduleId);
    assert.equal(facts["nonce"], hex(nonce));
    assert.equal(facts["userData"], null);
    assert.equal((facts["pcrs"] as Record<string, string>)["1"], hex(pcr(2)));
    assert.equal((facts["notChecked"] as string[]).length, 2);
    assert.equal((facts["warnings"] as string[]).length, 1);
  });

  it("reads standard input for -", () => {
    assert.equal(run(["verify", "-", ...here], evidence).status, 0);
  });

  it("takes a time in ISO 8601", () => {
    const time = new Date(signedAtMs).toISOString();
    const { status, stderr } = run(["verify", evidenceFile, "--root", root, "--at", time]);
    assert.equal(status, 0, stderr);
  });

  it("exits with 1 for evidence that is refused, the code on standard error", () => {
    const { status, stdout, stderr } = verify("--nonce", "00".repeat(16));
    assert.equal(status, 1);
    assert.equal(stdout, "");
    assert.match(stderr, /^sealrpc: \[challenge-mismatch\] /);
  });

  it("exits with 1 for a file that is not there", () => {
    const { status, stdout, stderr } = run(["verify", join(folder, "absent")]);
    assert.equal(status, 1);
    assert.equal(stdout, "");
    assert.match(stderr, /^sealrpc: ENOENT/);
  });

  describe("refuses", () => {
    const debug = file(
      "debug.bin",
      signedEvidence({ pcrs: registersWith({ 0: pcr(0), 1: pcr(0), 2: pcr(0) }) }),
    );
    for (const [what, args, code] of [
      ["a root that is AWS's", [evidenceFile, ...at], "untrusted-chain"],
      ["evidence of another day", [evidenceFile, "--root", root, "--at", "0"], "not-yet-valid"],
      ["evidence of a day other than today", [evidenceFile, "--root", root], "certificate-"],
      [
        "another image",
        [evidenceFile, ...here, "--pcr", `0=${hex(pcr(9))}`],
        "measurement-mismatch",
      ],
      [
        "an old document",
        [evidenceFile, "--root", root, "--at", `${signedAtMs + 6}`, "--max-age", "5ms"],
        "stale-evidence",
      ],
      ["a debug enclave", [debug, ...here], "debug-enclave"],
      ["what is no evidence", [root, ...here], "malformed-evidence"],
      ["an endless input, without reading all of it", ["/dev/zero", ...here], "malformed-evidence"],
      ["a folder", [folder, ...here], "EISDIR"],
      ["a root that is not there", [evidenceFile, "--root", join(folder, "absent")], "ENOENT"],
    ] as const) {
      it(what, async () => {
        await assert.rejects(
          verifyCommand().parseAsync(args, { from: "user" }),
          (error: Error & { code?: string }) => error.code?.includes(code) === true,
        );
      });
    }
  });

  it("gives the code as JSON too", () => {
    const { status, stdout } = verify("--json", "--nonce", "00".repeat(16));
    assert.equal(status, 1);
    const { verdict, code } = JSON.parse(stdout) as Record<string, string>;
    assert.deepEqual([verdict, code], ["refused", "challenge-mismatch"]);
  });

  it("shows a debug enclave only with a warning", () => {
    const pcrs = registersWith({ 0: pcr(0), 1: pcr(0), 2: pcr(0) });
    const args = ["--allow-debug", "--pcr", `0=${hex(pcr(1))}`];
    const { status, stdout, stderr } = run(
      ["verify", "-", ...here, ...args],
      signedEvidence({ pcrs }),
    );
    assert.equal(status, 0, stderr);
    assert.match(stderr, /DEBUG ENCLAVE/);
    assert.match(stderr, /not checked: measurements/);
    assert.match(stdout, /^warning {6}DEBUG ENCLAVE/m);
    assert.doesNotMatch(stdout, /as expected|not in debug mode/);
  });

  it("exits with 2 for a bad policy", () => {
    const { status, stdout, stderr } = verify("--pcr", `0=${hex(pcr(0))}`);
    assert.equal(status, 2);
    assert.equal(stdout, "");
    assert.match(stderr, /all zero/);
  });

  describe("calls wrong usage", () => {
    for (const [what, args] of [
      ["no file", []],
      ["two files", [evidenceFile, evidenceFile]],
      ["an unknown option", [evidenceFile, "--insecure"]],
      ["a nonce of 15 bytes", [evidenceFile, "--nonce", "00".repeat(15)]],
      ["a nonce that is no hex", [evidenceFile, "--nonce", "challenge"]],
      ["a register that cannot be pinned", [evidenceFile, "--pcr", `5=${hex(pcr(1))}`]],
      ["a register without a value", [evidenceFile, "--pcr", "0"]],
      [
        "a register twice",
        [evidenceFile, "--pcr", `0=${hex(pcr(1))}`, "--pcr", `0=${hex(pcr(1))}`],
      ],
      ["a measurement of zeros", [evidenceFile, "--pcr", `0=${hex(pcr(0))}`]],
      ["a measurement of 47 bytes", [evidenceFile, "--pcr", `0=${"01".repeat(47)}`]],
      ["a root that is no certificate", [evidenceFile, "--root", evidenceFile]],
      ["a time without its zone", [evidenceFile, "--at", "2026-03-14T15:09:26"]],
      ["a time that is none", [evidenceFile, "--at", "yesterday"]],
      ["a time beyond the calendar", [evidenceFile, "--at", "9".repeat(17)]],
      ["an age of 0", [evidenceFile, "--max-age", "0"]],
      ["an age of text", [evidenceFile, "--max-age", "5 minutes"]],
    ] as const) {
      it(what, async () => {
        const command = verifyCommand()
          .exitOverride()
          .configureOutput({ writeErr: () => {} });
        await assert.rejects(command.parseAsync(args, { from: "user" }), CommanderError);
      });
    }
  });

  it(
    "verifies genuine evidence at its time, up to AWS's root",
    { skip: genuineEvidenceIsAbsent },
    () => {
      const { path, valid_at_ms, expected } = genuineEvidence.findLast(
        ({ kind }) => kind === "enclave",
      )!;
      const args = ["--at", `${valid_at_ms}`, "--pcr", `0=${expected.pcrs["0"]}`];
      const { status, stdout, stderr } = run(["verify", path, ...args, "--nonce", expected.nonce!]);
      assert.equal(status, 0, stderr);
      assert.equal(stderr, "");
      assert.match(stdout, /certificate chain up to AWS's root/);
    },
  );
});

describe("sealrpc inspect", () => {
  it("prints everything and says loudly that nothing was verified", () => {
    const forged = evidence.slice();
    forged[forged.length - 1]! ^= 1;
    const { status, stdout, stderr } = run(["inspect", "-"], forged);
    assert.equal(status, 0, stderr);
    assert.match(stderr, /NOT VERIFIED/);
    assert.match(stdout, /^verdict .*NOT VERIFIED/m);
    assert.match(stdout, new RegExp(`^module_id +${moduleId}$`, "m"));
    assert.match(stdout, /^timestamp +1773500966535 {2}2026-03-14T15:09:26\.535Z$/m);
    assert.match(
      stdout,
      /^cabundle\[3\] +CN=i-0123456789abcdef0\.eu-west-1\.aws\.nitro-enclaves$/m,
    );
    assert.match(
      stdout,
      /^certificate +CN=i-0123456789abcdef0-enc0123456789abcdef\.eu-west-1\.aws$/m,
    );
    assert.match(stdout, /^ {2}uses +CA with pathLen 2, keyCertSign, digitalSignature$/m);
    assert.doesNotMatch(stdout, /AWS's root/);
  });

  it("prints the same as JSON", () => {
    const { status, stdout, stderr } = run(["inspect", evidenceFile, "--json"]);
    assert.equal(status, 0, stderr);
    assert.match(stderr, /NOT VERIFIED/);
    const facts = JSON.parse(stdout) as Record<string, unknown>;
    assert.equal(facts["verified"], false);
    assert.equal(facts["nonce"], hex(nonce));
    const certificates = facts["certificates"] as Record<string, unknown>[];
    assert.equal(certificates.length, 5);
    assert.equal(certificates[0]?.["der"], hex(rootOfSignedEvidence));
    assert.equal(certificates[0]?.["awsRoot"], false);
  });

  it("shows certificates that cannot be read, and a time that no calendar has", () => {
    const strange = signedEvidence({
      cabundle: [Uint8Array.of(1)],
      timestampMs: Number.MAX_SAFE_INTEGER,
    });
    const { status, stdout, stderr } = run(["inspect", "-"], strange);
    assert.equal(status, 0, stderr);
    assert.match(stdout, /^cabundle\[0\] +\[untrusted-chain\] cabundle\[0\]: expected tag 30/m);
    assert.match(stdout, /beyond any calendar/);
  });

  it("lets no text of the evidence steer the terminal", () => {
    const strange = signedEvidence({ moduleId: "\u001b[2J\u202e\u009b\n" });
    for (const args of [
      ["inspect", "-"],
      ["inspect", "-", "--json"],
      ["verify", "-", ...here],
    ]) {
      const { stdout, stderr } = run(args, strange);
      // eslint-disable-next-line no-control-regex
      assert.doesNotMatch(stdout + stderr, /[\u001b\u202e\u009b]/);
      assert.match(stdout + stderr, /202e/);
    }
  });

  it("exits with 1 for what has not the form of evidence", () => {
    const { status, stdout, stderr } = run(["inspect", root]);
    assert.equal(status, 1);
    assert.equal(stdout, "");
    assert.match(stderr, /malformed-evidence/);
  });

  it("exits with 2 without a file", () => {
    assert.equal(run(["inspect"]).status, 2);
  });

  it("knows AWS's root", { skip: genuineEvidenceIsAbsent }, () => {
    const { status, stdout } = run(["inspect", genuineEvidence[0]!.path]);
    assert.equal(status, 0);
    assert.match(stdout, /^cabundle\[0\] +CN=aws\.nitro-enclaves {2}\(AWS's root\)$/m);
  });
});
