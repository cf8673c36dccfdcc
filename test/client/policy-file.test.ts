import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createPublicKey } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, beforeEach, describe, it } from "node:test";
import { Policy } from "../../attestation/policy.ts";
import { signReleaseManifest } from "../../attestation/release-manifest.ts";
import { policyOfManifest, readPolicyFile } from "../../services/client/policy-file.ts";
import { raiseSequence } from "../../services/client/sequence-file.ts";
import { hasCode } from "../support/error-code.ts";
import { makeSigner, manifestWith, pcr, service, signer } from "../support/manifest.ts";

const root = mkdtempSync(join(tmpdir(), "policy-file-"));
after(() => rmSync(root, { recursive: true }));
let folder: string;
let count = 0;
beforeEach(() => {
  folder = join(root, `${count++}`);
  mkdirSync(folder);
  file("signer.pub", signer.publicKey);
});

function file(name: string, content: string | object): string {
  const path = join(folder, name);
  writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content));
  return path;
}
const issuedAtMs = Date.now() - 1000;
const signed = (sequence = 7) =>
  signReleaseManifest(
    manifestWith({ sequence, issuedAtMs, expiresAtMs: issuedAtMs + 3_600_000 }),
    signer.privateKey,
  );
const policyOf = (releaseManifest: object, others: object = {}) =>
  readPolicyFile(file("policy.json", { releaseManifest, ...others }));
const fromFiles = { manifestFile: "a.manifest", signerKeyFile: "signer.pub" };

describe("a policy file", () => {
  it("holds what Policy.from takes", async () => {
    const options = { referenceValues: [{ pcr0: pcr(1) }], maxAgeMs: 5 };
    const policy = await readPolicyFile(file("policy.json", options));
    assert.deepEqual(policy.referenceValues, options.referenceValues);
    assert.equal(policy.maxAgeMs, 5);
    assert.ok(Policy.is(policy));
    await assert.rejects(readPolicyFile(file("policy.json", "{")), SyntaxError);
    await assert.rejects(readPolicyFile(file("policy.json", "null")), TypeError);
  });

  it("names a manifest and a key in files beside it", async () => {
    file("a.manifest", `${await signed()}\n`);
    const deployments = [{ pcr3: pcr(9) }];
    const source = { ...fromFiles, service, accept: "supported", deployments };
    const policy = await policyOf(source, { maxAgeMs: 5 });
    assert.equal(policy.manifest?.sequence, 7);
    assert.equal(policy.maxAgeMs, 5);
    assert.deepEqual(policy.referenceValues, [
      { pcr0: pcr(1), pcr3: pcr(9) },
      { pcr0: pcr(2), pcr3: pcr(9) },
    ]);
  });

  it("holds a manifest and a key itself", async () => {
    const jwk = createPublicKey(signer.publicKey).export({ format: "jwk" });
    for (const signerKey of [signer.publicKey, jwk, [jwk]]) {
      const policy = await policyOf({ manifest: await signed(), signerKey });
      assert.equal(policy.manifest?.sequence, 7);
    }
  });

  it("names several keys, PEM or JWK", async () => {
    file("other.pub", makeSigner().publicKey);
    file("signer.jwk", createPublicKey(signer.publicKey).export({ format: "jwk" }));
    const signerKeyFile = ["other.pub", "signer.jwk"];
    const policy = await policyOf({ manifest: await signed(), signerKeyFile });
    assert.equal(policy.manifest?.sequence, 7);
  });

  it("fails with the manifest's code, or as the file system does", async () => {
    file("a.manifest", await signed());
    await assert.rejects(
      policyOf({ ...fromFiles, service: "other" }),
      hasCode("manifest-rejected", /other/),
    );
    await assert.rejects(policyOf({ ...fromFiles, manifestFile: "absent" }), /ENOENT/);
  });

  const sources: Readonly<Record<string, readonly [unknown, RegExp]>> = {
    "no object": ["a.manifest", /expected an object/],
    null: [null, /expected an object/],
    "an unknown key": [{ ...fromFiles, file: "x" }, /unknown key "file"/],
    "no manifest": [{ signerKeyFile: "signer.pub" }, /either manifest or manifestFile/],
    "two manifests": [{ ...fromFiles, manifest: "x" }, /either manifest or manifestFile/],
    "no key": [{ manifestFile: "a.manifest" }, /either signerKey or signerKeyFile/],
    "two keys": [{ ...fromFiles, signerKey: "x" }, /either signerKey or signerKeyFile/],
    "no list of keys": [{ manifest: "x", signerKeyFile: [] }, /signerKey: expected 1 to 8/],
    "a number for a file": [{ ...fromFiles, stateFile: 7 }, /names of files/],
    "a clock": [{ ...fromFiles, now: 7 }, /unknown key "now"/],
  };
  for (const [name, [source, message]] of Object.entries(sources)) {
    it(`refuses a source with ${name}`, async () => {
      await assert.rejects(policyOf(source as object), (error: unknown) => {
        assert.ok(error instanceof TypeError || error instanceof RangeError, String(error));
        assert.match(error.message, message);
        return true;
      });
    });
  }

  it("refuses reference values beside a manifest", async () => {
    const others = { referenceValues: [{ pcr0: pcr(1) }] };
    const source = { manifest: await signed(), signerKeyFile: "signer.pub" };
    await assert.rejects(policyOf(source, others), /referenceValues/);
  });
});

describe("the state file of a policy", () => {
  const seen = (): unknown => JSON.parse(readFileSync(join(folder, "seen"), "utf8"));
  const accept = async (sequence: number, others: object = {}) => {
    const source = { manifest: await signed(sequence), signerKeyFile: "signer.pub" };
    return policyOf({ ...source, stateFile: "seen", ...others });
  };

  it("remembers the highest manifest, and an older one is refused", async () => {
    await accept(7);
    assert.deepEqual(seen(), { service, sequence: 7 });
    await accept(9);
    await accept(9);
    await assert.rejects(accept(8), hasCode("manifest-rolled-back"));
    assert.deepEqual(seen(), { service, sequence: 9 });
    assert.deepEqual(readdirSync(folder).sort(), ["policy.json", "seen", "signer.pub"]);
  });

  it("does not remember a manifest that was refused", async () => {
    await assert.rejects(accept(7, { service: "other" }), hasCode("manifest-rejected"));
    assert.throws(seen, /ENOENT/);
  });

  it("is of one service, also where the policy names none", async () => {
    file("seen", { service: "other", sequence: 1 });
    await assert.rejects(accept(7), hasCode("manifest-rejected", /releases of other/));
    await assert.rejects(accept(7, { service }), /seen: remembers other, expected notary/);
    assert.deepEqual(seen(), { service: "other", sequence: 1 });
  });

  it("is never taken for a new one when it cannot be read as one", async () => {
    const damaged = ["", "{", "null", "7", "{}", { service }, { service, sequence: "7" }];
    for (const content of [...damaged, { service, sequence: 0 }, { sequence: 7 }]) {
      file("seen", content);
      await assert.rejects(accept(7), /seen: remembers no release manifest; restore it/);
    }
    rmSync(join(folder, "seen"));
    mkdirSync(join(folder, "seen"));
    await assert.rejects(accept(7), /EISDIR/);
  });

  it("is not lowered by whoever read it before another raised it", async () => {
    const path = file("seen", { service, sequence: 9 });
    await raiseSequence(path, { service, sequence: 8 });
    assert.deepEqual(seen(), { service, sequence: 9 });
  });

  it("counts beside a lowest number that the caller gives", async () => {
    const options = { signerKey: signer.publicKey, lastSequence: 8 };
    const stateFile = file("seen", { service, sequence: 1 });
    const rolledBack = hasCode("manifest-rolled-back");
    await assert.rejects(policyOfManifest(await signed(7), options, stateFile), rolledBack);
  });
});
