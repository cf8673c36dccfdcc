import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { signReleaseManifest, verifyReleaseManifest } from "../../attestation/release-manifest.ts";
import { makeSigner, manifestWith, releases, service, signer } from "../support/manifest.ts";
import { type Finished, runProgram } from "../support/processes.ts";

const folder = mkdtempSync(join(tmpdir(), "release-"));
after(() => rmSync(folder, { recursive: true }));

const path = (name: string): string => join(folder, name);
function file(name: string, content: string | object): string {
  writeFileSync(path(name), typeof content === "string" ? content : JSON.stringify(content));
  return path(name);
}
const release = (...args: readonly string[]): Promise<Finished> =>
  runProgram("cli/main.js", "release", ...args);
const refused = ({ status, stdout, stderr }: Finished, exit: number, message: RegExp): void => {
  assert.match(stderr, message);
  assert.equal(stdout, "");
  assert.equal(status, exit);
};

const key = file("signer.pem", signer.privateKey);
const pub = file("signer.pub", signer.publicKey);
const list = file("releases.json", { service, releases });
const out = path("notary.manifest");

describe("sealrpc release sign", { timeout: 60_000 }, () => {
  const sign = (...args: readonly string[]) => release("sign", list, "--key", key, ...args);
  const manifest = () =>
    verifyReleaseManifest(readFileSync(out, "utf8"), { signerKey: signer.publicKey, service });

  it("wants to be told that a manifest is the first, and then numbers each", async () => {
    refused(await sign("--out", out), 2, /no previous manifest; --init makes the first/);
    assert.ok(!existsSync(out));
    const first = await sign("--out", out, "--init");
    assert.equal(first.status, 0, first.stderr);
    assert.match(first.stdout, /^sequence +1$/m);
    assert.match(first.stdout, /^release +2\.0\.0 {2}current$/m);
    refused(await sign("--out", out, "--init"), 2, /there already.*leave out --init/);
    const second = await sign("--out", out, "--days", "7", "--json");
    assert.equal((JSON.parse(second.stdout) as { sequence: number }).sequence, 2);
    const { sequence, issuedAtMs, expiresAtMs, ...others } = await manifest();
    assert.equal(sequence, 2);
    assert.equal(expiresAtMs - issuedAtMs, 7 * 86_400_000);
    assert.deepEqual(others, { service, releases });
  });

  it("refuses to go backwards, to another service, and to another signer", async () => {
    const before = readFileSync(out, "utf8");
    refused(await sign("--out", out, "--sequence", "2"), 2, /previous manifest has 2/);
    const other = file("other.json", { service: "other", releases });
    refused(
      await release("sign", other, "--key", key, "--out", out),
      2,
      /of other, but the previous manifest of notary/,
    );
    const stranger = makeSigner();
    const strange = file("stranger.pem", stranger.privateKey);
    refused(
      await release("sign", list, "--key", strange, "--out", out),
      1,
      /\[manifest-rejected\].*--previous-signer/,
    );
    assert.equal(readFileSync(out, "utf8"), before);
  });

  it("changes the signer's key, and the place, when told so", async () => {
    const next = generateKeyPairSync("ec", { namedCurve: "P-384" });
    // As openssl ecparam writes keys.
    const sec1 = next.privateKey.export({ format: "pem", type: "sec1" }).toString();
    const args = ["--previous", out, "--previous-signer", pub, "--sequence", "9"];
    const elsewhere = path("next.manifest");
    const command = ["sign", list, "--key", file("next.pem", sec1), "--out", elsewhere];
    const { status, stderr } = await release(...command, ...args);
    assert.equal(status, 0, stderr);
    const signerKey = next.publicKey.export({ format: "pem", type: "spki" }).toString();
    const manifest = await verifyReleaseManifest(readFileSync(elsewhere, "utf8"), { signerKey });
    assert.equal(manifest.sequence, 9);
  });

  it("takes a previous manifest that has expired", async () => {
    const old = path("old.manifest");
    writeFileSync(old, await signReleaseManifest(manifestWith(), signer.privateKey));
    const { status, stdout } = await sign("--out", old);
    assert.equal(status, 0);
    assert.match(stdout, /^sequence +8$/m);
  });

  const lists: Readonly<Record<string, readonly [object | string, RegExp]>> = {
    "no JSON": ["{", /JSON/],
    "no object": ["null", /list: expected an object/],
    "two current releases": [
      { service, releases: releases.map((one) => ({ ...one, status: "current" })) },
      /exactly one current/,
    ],
    "a sequence of its own": [
      { service, releases, sequence: 7 },
      /unknown key "sequence", expected service, releases/,
    ],
    "an unknown key": [{ service, releases, note: "x" }, /unknown key "note"/],
  };
  for (const [name, [content, message]] of Object.entries(lists)) {
    it(`refuses a list with ${name}`, async () => {
      const wrong = file("wrong.json", content);
      const target = path("wrong.manifest");
      const args = ["sign", wrong, "--key", key, "--out", target, "--init"];
      refused(await release(...args), 2, message);
      assert.ok(!existsSync(target));
    });
  }

  it("refuses a key that it cannot use, and says how to come by one", async () => {
    const encrypted = generateKeyPairSync("ec", {
      namedCurve: "P-384",
      publicKeyEncoding: { format: "pem", type: "spki" },
      privateKeyEncoding: { format: "pem", type: "pkcs8", cipher: "aes256", passphrase: "x" },
    }).privateKey;
    for (const [pem, message] of [
      [makeSigner("P-256").privateKey, /expected a P-384 key, received prime256v1; release keygen/],
      [encrypted, /unencrypted.*openssl pkey/],
      [signer.publicKey, /private key/],
    ] as const) {
      const args = ["sign", list, "--key", file("bad.pem", pem), "--out", path("x"), "--init"];
      refused(await release(...args), 2, message);
    }
  });
});

describe("sealrpc release keygen", () => {
  it("makes a key that signs and one that verifies, and replaces neither", async () => {
    const made = path("made.pem");
    const { status, stdout } = await release("keygen", made);
    assert.equal(status, 0);
    assert.match(stdout, /made\.pem\.pub/);
    assert.equal(statSync(made).mode & 0o777, 0o600);
    const privateKey = readFileSync(made, "utf8");
    const text = await signReleaseManifest(manifestWith(), privateKey);
    const signerKey = readFileSync(`${made}.pub`, "utf8");
    await verifyReleaseManifest(text, { signerKey, now: manifestWith().issuedAtMs });
    refused(await release("keygen", made), 1, /EEXIST/);
    rmSync(made);
    refused(await release("keygen", made), 1, /EEXIST/);
    assert.ok(!existsSync(made));
    assert.equal(readFileSync(`${made}.pub`, "utf8"), signerKey);
  });
});

describe("sealrpc release verify", { timeout: 60_000 }, () => {
  const signed = path("signed.manifest");
  const at = ["--at", "2026-03-20"];
  const verify = (...args: readonly string[]) =>
    release("verify", signed, "--signer", pub, ...args);
  before(async () => {
    writeFileSync(signed, `${await signReleaseManifest(manifestWith(), signer.privateKey)}\n`);
  });

  it("prints what the manifest says, and what was not checked", async () => {
    const { status, stdout, stderr } = await verify(...at);
    assert.equal(status, 0, stderr);
    assert.match(stdout, /^verdict +verified, as of 2026-03-20T00:00:00\.000Z$/m);
    assert.match(stdout, /^service +notary\.example\.com$/m);
    assert.match(stdout, /^PCR0 +(?:01){48}$/m);
    assert.match(stderr, /not checked: service/);
    assert.match(stderr, /not checked: sequence/);
  });

  it("prints facts as JSON", async () => {
    const expected = ["--service", service, "--last-sequence", "7"];
    const { stdout, stderr } = await verify(...at, ...expected, "--json");
    assert.equal(stderr, "");
    const { verdict, notChecked, releases: listed } = JSON.parse(stdout) as Record<string, unknown>;
    assert.deepEqual([verdict, notChecked, listed], ["verified", [], releases]);
  });

  it("exits with 1 and the code of what it refuses", async () => {
    refused(await verify(), 1, /\[manifest-expired\]/);
    refused(await verify(...at, "--service", "other"), 1, /\[manifest-rejected\]/);
    refused(await verify(...at, "--last-sequence", "8"), 1, /\[manifest-rolled-back\]/);
    const { status, stdout } = await verify("--json");
    const { verdict, code } = JSON.parse(stdout) as Record<string, unknown>;
    assert.deepEqual([status, verdict, code], [1, "refused", "manifest-expired"]);
    refused(await release("verify", path("absent"), "--signer", pub), 1, /ENOENT/);
  });

  it("exits with 2 for a key that is none", async () => {
    refused(await release("verify", signed, "--signer", list), 2, /signerKey/);
    refused(await release("verify", signed), 2, /--signer/);
  });

  it("remembers the highest sequence number, and the service, in a file", async () => {
    const state = path("seen");
    const first = await verify(...at, "--state", state);
    assert.equal(first.status, 0, first.stderr);
    assert.deepEqual(JSON.parse(readFileSync(state, "utf8")), { service, sequence: 7 });
    const older = file(
      "older.manifest",
      await signReleaseManifest(manifestWith({ sequence: 6 }), signer.privateKey),
    );
    refused(
      await release("verify", older, "--signer", pub, ...at, "--state", state),
      1,
      /\[manifest-rolled-back\]/,
    );
  });
});

describe("sealrpc release show", () => {
  it("prints a manifest of anyone, and says that it is not verified", async () => {
    const strange = file(
      "strange.manifest",
      await signReleaseManifest(manifestWith(), makeSigner().privateKey),
    );
    const { status, stdout, stderr } = await release("show", strange);
    assert.equal(status, 0);
    assert.match(stdout, /^verdict +NOT VERIFIED/m);
    assert.match(stderr, /NOT VERIFIED/);
    assert.match(stdout, /^release +1\.8\.0 {2}revoked$/m);
    const { stdout: json } = await release("show", strange, "--json");
    assert.equal((JSON.parse(json) as { verdict: string }).verdict, "not verified");
  });

  it("exits with 1 for what is no manifest", async () => {
    refused(await release("show", list), 1, /\[manifest-rejected\]/);
  });
});

describe("sealrpc release", () => {
  it("explains itself and its commands, and refuses others", async () => {
    for (const command of [[], ["keygen"], ["sign"], ["verify"], ["show"]]) {
      const { status, stdout } = await release(...command, "--help");
      assert.equal(status, 0);
      assert.match(stdout, /Usage: sealrpc release/);
    }
    assert.equal((await release("revoke")).status, 2);
    assert.equal((await release()).status, 2);
  });
});
