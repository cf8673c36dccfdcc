import assert from "node:assert/strict";
import { createHmac, createPublicKey } from "node:crypto";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { AttestationError, type AttestationErrorCode } from "../../attestation/errors.ts";
import {
  type ManifestVerifyOptions,
  parseUnverifiedManifest,
  type SignerJwk,
  signReleaseManifest,
  verifyReleaseManifest,
} from "../../attestation/release-manifest.ts";
import { hasCode } from "../support/error-code.ts";
import {
  expiresAtMs,
  header,
  issuedAtMs,
  jwsOf,
  makeSigner,
  manifestWith,
  now,
  pcr,
  releases,
  service,
  signer,
} from "../support/manifest.ts";

const runs = Number(process.env["FUZZ_RUNS"] ?? 100);
const text = await signReleaseManifest(manifestWith(), signer.privateKey);

const verify = (manifest: string, options: Partial<ManifestVerifyOptions> = {}) =>
  verifyReleaseManifest(manifest, { signerKey: signer.publicKey, service, now, ...options });
const refuses = async (
  code: AttestationErrorCode,
  message: RegExp,
  manifest: string,
  options: Partial<ManifestVerifyOptions> = {},
): Promise<void> => assert.rejects(verify(manifest, options), hasCode(code, message));

describe("a release manifest", () => {
  it("gives what its signer stated", async () => {
    assert.deepEqual(await verify(text), manifestWith());
  });

  it("is a compact JWS that any other implementation can make", async () => {
    assert.deepEqual(await verify(jwsOf(manifestWith())), manifestWith());
    const { alg, typ } = header;
    assert.ok(await verify(jwsOf(manifestWith(), { protectedHeader: { typ, alg } })));
  });

  it("may end with a new line, as files do", async () => {
    assert.ok(await verify(`${text}\n`));
  });

  it("is frozen in all its parts", async () => {
    const manifest = await verify(text);
    for (const part of [
      manifest,
      manifest.releases,
      manifest.releases[0],
      manifest.releases[0]?.referenceValues,
      manifest.releases[0]?.referenceValues[0],
    ]) {
      assert.ok(Object.isFrozen(part));
    }
  });

  it("is verified by a key in PEM or as JWK", async () => {
    const jwk = createPublicKey(signer.publicKey).export({ format: "jwk" });
    const signerKey = { ...jwk, kid: "7" } as unknown as SignerJwk;
    assert.ok(await verify(text, { signerKey }));
  });

  it("may be of any of several signers, while a key is changed", async () => {
    const other = makeSigner();
    assert.ok(await verify(text, { signerKey: [other.publicKey, signer.publicKey] }));
    await refuses("manifest-rejected", /not signed/, text, { signerKey: [other.publicKey] });
  });
});

describe("the verification of a manifest", () => {
  const [head = "", payload = "", signature = ""] = text.split(".");

  it("refuses every other signature", async () => {
    const other = makeSigner();
    await refuses("manifest-rejected", /not signed/, text, { signerKey: other.publicKey });
    const flipped = signature.startsWith("A") ? "B" : "A";
    const altered = `${head}.${payload}.${flipped}${signature.slice(1)}`;
    await refuses("manifest-rejected", /not signed/, altered);
    await refuses("manifest-rejected", /not signed/, jwsOf(manifestWith(), { hash: "sha256" }));
    const zero = `${head}.${payload}.${"A".repeat(128)}`;
    await refuses("manifest-rejected", /not signed/, zero);
  });

  it("refuses content that was changed after it was signed", async () => {
    const other = Buffer.from(JSON.stringify(manifestWith({ sequence: 8 }))).toString("base64url");
    await refuses("manifest-rejected", /not signed/, `${head}.${other}.${signature}`);
  });

  const headers: Readonly<Record<string, unknown>> = {
    "no signature": { ...header, alg: "none" },
    "another algorithm": { ...header, alg: "ES256" },
    "another type": { ...header, typ: "JWT" },
    "no type": { alg: header.alg },
    crit: { ...header, crit: ["b64"], b64: true },
    "an unencoded payload": { ...header, crit: ["b64"], b64: false },
    "a key of its own": {
      ...header,
      jwk: createPublicKey(signer.publicKey).export({ format: "jwk" }),
    },
    "a key's name": { ...header, kid: "1" },
    "a key twice": '{"alg":"none","alg":"ES384","typ":"sealrpc-release-manifest"}',
    "a list": [header],
    "no JSON": "{",
  };
  for (const [name, protectedHeader] of Object.entries(headers)) {
    it(`refuses a header with ${name}`, async () => {
      await refuses("manifest-rejected", /header/, jwsOf(manifestWith(), { protectedHeader }));
    });
  }

  it("refuses an HMAC under the public key", async () => {
    const input = jwsOf(manifestWith(), { protectedHeader: { ...header, alg: "HS384" } })
      .split(".")
      .slice(0, 2)
      .join(".");
    const mac = createHmac("sha384", signer.publicKey).update(input).digest();
    await refuses("manifest-rejected", /compact JWS/, `${input}.${mac.toString("base64url")}`);
    const long = Buffer.concat([mac, mac]).toString("base64url");
    await refuses("manifest-rejected", /header/, `${input}.${long}`);
  });

  const forms: Readonly<Record<string, string>> = {
    nothing: "",
    "two parts": `${head}.${payload}`,
    "four parts": `${text}.AA`,
    "a short signature": text.slice(0, -1),
    "padding in base64": `${head}=.${payload}.${signature}`,
    "a space": `${head}. ${payload}.${signature}`,
    "a space before it": ` ${text}`,
    "JSON serialisation": JSON.stringify({ protected: head, payload, signature }),
    "more than 131072 characters": `${head}.${"A".repeat(131_072)}.${signature}`,
  };
  for (const [name, form] of Object.entries(forms)) {
    it(`refuses a form with ${name}`, () => refuses("manifest-rejected", /compact JWS/, form));
  }

  const stated = JSON.stringify(manifestWith());
  const payloads: Readonly<Record<string, readonly [unknown, RegExp]>> = {
    "white space": [JSON.stringify(manifestWith(), null, 1), /white space/],
    "a key twice": [stated.replace("{", '{"sequence":9,'), /every key once/],
    "bytes that are not UTF-8": [Uint8Array.of(0x7b, 0xff, 0x7d), /UTF-8/],
    "a byte order mark": [`\ufeff${stated}`, /not JSON/],
    "no JSON": ["{", /not JSON/],
    "a list": [[manifestWith()], /object/],
    null: ["null", /object/],
    "deep nesting": ["[".repeat(40_000) + "]".repeat(40_000), /payload/],
    "an unknown key": [{ ...manifestWith(), note: 1 }, /unknown key "note"/],
    "a __proto__ key": [stated.replace("{", '{"__proto__":{},'), /unknown key "__proto__"/],
    "no sequence": [{ ...manifestWith(), sequence: undefined }, /expected sequence/],
  };
  for (const [name, [content, message]] of Object.entries(payloads)) {
    it(`refuses a signed payload with ${name}`, () =>
      refuses("manifest-rejected", message, jwsOf(content)));
  }

  it("refuses the releases of another service", () =>
    refuses("manifest-rejected", /expected the releases of other, received/, text, {
      service: "other",
    }));

  it("takes those of any service of the signer when none is named", async () => {
    assert.ok(await verifyReleaseManifest(text, { signerKey: signer.publicKey, now }));
  });

  it("refuses a lower sequence number than was seen, and takes the same one", async () => {
    await refuses("manifest-rolled-back", /from 8 on, received 7/, text, { lastSequence: 8 });
    assert.ok(await verify(text, { lastSequence: 7 }));
  });

  it("refuses it once it has expired, to the millisecond", async () => {
    assert.ok(await verify(text, { now: expiresAtMs }));
    await refuses("manifest-expired", /2026-04-14T00:00:00\.000Z/, text, { now: expiresAtMs + 1 });
  });

  it("refuses one from the future, beyond what clocks may differ", async () => {
    assert.ok(await verify(text, { now: issuedAtMs - 300_000 }));
    await refuses("manifest-rejected", /ahead/, text, { now: issuedAtMs - 300_001 });
  });

  it("names the first check that fails: signature, service, sequence, time", async () => {
    const all = { now: expiresAtMs + 1, lastSequence: 8 };
    const other = makeSigner().publicKey;
    await refuses("manifest-rejected", /not signed/, text, {
      ...all,
      service: "other",
      signerKey: other,
    });
    await refuses("manifest-rejected", /releases of other/, text, { ...all, service: "other" });
    await refuses("manifest-rolled-back", /received 7/, text, all);
  });

  it("refuses arguments that cannot be meant, before anything", async () => {
    const p256 = makeSigner("P-256");
    const { d, ...jwk } = createPublicKey(signer.publicKey).export({ format: "jwk" });
    const misuses: readonly [object, RegExp][] = [
      [{ signerKey: undefined }, /^signerKey: expected a P-384 public key/],
      [{ signerKey: "" }, /^signerKey/],
      [{ signerKey: [] }, /^signerKey: expected 1 to 8/],
      [{ signerKey: Array.from({ length: 9 }, () => signer.publicKey) }, /^signerKey/],
      [{ signerKey: p256.publicKey }, /^signerKey/],
      [{ signerKey: signer.privateKey }, /^signerKey/],
      [{ signerKey: signer.publicKey.repeat(2) }, /^signerKey/],
      [{ signerKey: { ...jwk, d: jwk.x } }, /^signerKey/],
      [{ signerKey: { ...jwk, crv: "P-256" } }, /^signerKey/],
      [{ signerKey: { ...jwk, x: jwk.y } }, /^signerKey/],
      [{ signerKey: { kty: "oct", k: "AAAA" } }, /^signerKey/],
      [{ service: "" }, /^service/],
      [{ service: 7 }, /^service/],
      [{ lastSequence: -1 }, /^lastSequence/],
      [{ lastSequence: 1.5 }, /^lastSequence/],
      [{ lastSequence: Number.NaN }, /^lastSequence/],
      [{ now: Number.NaN }, /^now/],
    ];
    assert.equal(d, undefined);
    for (const [options, message] of misuses) {
      await assert.rejects(verify("", options), (error: unknown) => {
        assert.ok(error instanceof TypeError || error instanceof RangeError, String(error));
        assert.match(error.message, message);
        return true;
      });
    }
    await assert.rejects(verify(undefined as unknown as string), /^TypeError: manifest/);
  });

  it("gives typed errors only, whatever the text", async () => {
    const base64url = fc.stringMatching(/^[\w-]{0,64}$/);
    const anyText = fc.oneof(
      fc.string(),
      fc.string({ unit: "binary" }),
      fc.tuple(base64url, base64url).map(([a, b]) => `${a}.${b}.${signature}`),
      fc.json().map((json) => jwsOf(json)),
      fc.json().map((json) => jwsOf(manifestWith(), { protectedHeader: json })),
      fc.tuple(fc.nat(text.length - 1), base64url).map(([at, piece]) => {
        return text.slice(0, at) + piece + text.slice(at + piece.length);
      }),
    );
    await fc.assert(
      fc.asyncProperty(anyText, async (manifest) => {
        if (manifest.trimEnd() === text) return;
        await assert.rejects(verify(manifest), (error: unknown) => {
          assert.ok(error instanceof AttestationError, String(error));
          assert.equal(error.code, "manifest-rejected");
          return true;
        });
      }),
      { numRuns: runs },
    );
  });
});

describe("reading a manifest without verifying it", () => {
  it("shows what it says, whoever signed it and whenever", async () => {
    const other = makeSigner();
    const manifest = await signReleaseManifest(manifestWith(), other.privateKey);
    assert.deepEqual(parseUnverifiedManifest(manifest), manifestWith());
  });

  it("refuses what is none", () => {
    const rejected = hasCode("manifest-rejected", /./);
    assert.throws(() => parseUnverifiedManifest("nothing"), rejected);
    assert.throws(() => parseUnverifiedManifest(jwsOf({ ...manifestWith(), a: 1 })), rejected);
    const deep = jwsOf(`${"[".repeat(40_000)}${"]".repeat(40_000)}`);
    assert.throws(() => parseUnverifiedManifest(deep), rejected);
  });
});

describe("signing a manifest", () => {
  it("refuses what no verifier would take", async () => {
    const wrong = { ...manifestWith(), sequence: 0 };
    await assert.rejects(signReleaseManifest(wrong, signer.privateKey), /^RangeError: sequence/);
  });

  it("refuses every key but a private P-384 key, and does not quote it", async () => {
    for (const key of ["", signer.publicKey, makeSigner("P-256").privateKey, "SECRET"]) {
      await assert.rejects(signReleaseManifest(manifestWith(), key), (error: unknown) => {
        assert.ok(error instanceof TypeError);
        assert.match(error.message, /^privateKey: expected a P-384 private key/);
        assert.doesNotMatch(error.message, /SECRET/);
        return true;
      });
    }
  });

  it("takes as many releases as there may be", async () => {
    const many = Array.from({ length: 100 }, (_, i) => {
      const digits = pcr(i + 1);
      const set = { pcr0: digits, pcr1: digits, pcr2: digits, pcr8: digits };
      const status = i === 0 ? ("current" as const) : ("revoked" as const);
      return { version: `1.${i}.0`, status, referenceValues: [set] };
    });
    const manifest = manifestWith({ releases: many });
    const signed = await signReleaseManifest(manifest, signer.privateKey);
    assert.deepEqual(await verify(signed), manifest);
    const sets = Array.from({ length: 8 }, (_, i) => {
      return (release: number) => {
        const digits = `${i}${release.toString(16).padStart(3, "0")}`.repeat(24);
        return { pcr0: digits, pcr1: digits, pcr2: digits, pcr8: digits };
      };
    });
    const larger = many.map((release, i) => {
      return { ...release, referenceValues: sets.map((set) => set(i + 1)) };
    });
    await assert.rejects(
      signReleaseManifest(manifestWith({ releases: larger }), signer.privateKey),
      /^RangeError: manifest: expected up to 131072 characters/,
    );
  });

  it("writes digits in lower case", async () => {
    const [current, ...others] = releases;
    assert.ok(current);
    const upper = { ...current, referenceValues: [{ pcr0: "AB".repeat(48) }] };
    const manifest = manifestWith({ releases: [upper, ...others] });
    const signed = await verify(await signReleaseManifest(manifest, signer.privateKey));
    assert.equal(signed.releases[0]?.referenceValues[0]?.pcr0, "ab".repeat(48));
  });
});
