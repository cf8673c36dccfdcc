import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash, verify, X509Certificate } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { Decoder } from "cbor-x";
import fc from "fast-check";
import { type CborValue, decodeCbor, encodeCbor } from "../../image/cbor.ts";
import { ImageError } from "../../image/errors.ts";
import { measureSigner } from "../../image/measurement.ts";
import { parseSigner, signImage, verifyImageSignature } from "../../image/signature.ts";
import { refusesImage } from "../support/image-error.ts";
import { noOpenssl } from "../support/self-signed.ts";
import { createSigner } from "../support/signers.ts";

const numRuns = Number(process.env["FUZZ_RUNS"] ?? 100);
const pcr0 = new Uint8Array(48).map((_, i) => i);
const bytes = (value: unknown) => Uint8Array.from(value as number[]);

/** An ECDSA signature of r ‖ s as DER. */
function derOf(signature: Uint8Array): Uint8Array {
  const half = signature.length / 2;
  const integer = (part: Uint8Array) => {
    const start = part.findIndex((byte) => byte !== 0);
    const digits = [...part.subarray(start)];
    if (digits[0]! >= 0x80) digits.unshift(0);
    return [2, digits.length, ...digits];
  };
  const both = [...integer(signature.subarray(0, half)), ...integer(signature.subarray(half))];
  return Uint8Array.from([0x30, both.length, ...both]);
}

describe("a signature section", { skip: noOpenssl }, () => {
  const files = createSigner();
  const signer = parseSigner(files.key, files.certificate, Date.now());
  const section = signImage(signer, pcr0);
  const entry = new Map((decodeCbor(section) as Map<string, CborValue>[])[0]);
  const envelope = decodeCbor(bytes(entry.get("signature"))) as CborValue[];

  /** The section with the envelope's parts or the entry changed. */
  const changed = (parts: readonly CborValue[], change: Record<string, CborValue> = {}) => {
    const map = new Map(entry).set("signature", [...encodeCbor(parts)]);
    for (const [key, value] of Object.entries(change)) map.set(key, value);
    return encodeCbor([map]);
  };

  it("is verified, and names the certificate and PCR8", () => {
    const { algorithm, certificate, pcr8 } = verifyImageSignature(section, pcr0);
    assert.equal(algorithm, "ES384");
    const { raw } = new X509Certificate(files.certificate);
    assert.deepEqual(Buffer.from(certificate), raw);
    const digest = createHash("sha384").update(raw).digest();
    const expected = createHash("sha384").update(Buffer.alloc(48)).update(digest).digest();
    assert.deepEqual(Buffer.from(pcr8), expected);
  });

  it("has the form that another CBOR decoder reads, with the keys in order", () => {
    const decoder = new Decoder({ mapsAsObjects: false });
    const list = decoder.decode(section) as Map<string, number[]>[];
    assert.equal(list.length, 1);
    assert.deepEqual([...list[0]!.keys()], ["signing_certificate", "signature"]);
    const pem = Buffer.from(list[0]!.get("signing_certificate")!).toString();
    assert.equal(pem, files.certificate);
    const [headers, unprotected, payload, signature] = decoder.decode(
      bytes(list[0]!.get("signature")),
    ) as [Uint8Array, Map<unknown, unknown>, Uint8Array, Uint8Array];
    assert.deepEqual([...headers], [0xa1, 0x01, 0x38, 0x22]);
    assert.equal(unprotected.size, 0);
    assert.equal(signature.length, 96);
    const register = decoder.decode(payload) as Map<string, unknown>;
    assert.deepEqual(
      [...register],
      [
        ["register_index", 0],
        ["register_value", [...pcr0]],
      ],
    );
  });

  it("is verified by openssl", () => {
    const folder = mkdtempSync(join(tmpdir(), "verify-"));
    const [headers, , payload, signature] = envelope as [
      Uint8Array,
      unknown,
      Uint8Array,
      Uint8Array,
    ];
    const key = new X509Certificate(files.certificate).publicKey;
    // The Sig_structure, written by hand: an array of four, "Signature1", headers, h'', payload.
    const head = (payload.length > 255 ? [0x59, payload.length >> 8] : [0x58]).concat(
      payload.length & 0xff,
    );
    const structure = Buffer.concat([
      Uint8Array.of(0x84, 0x6a),
      Buffer.from("Signature1"),
      Uint8Array.of(0x44),
      headers,
      Uint8Array.of(0x40, ...head),
      payload,
    ]);
    writeFileSync(join(folder, "key.pem"), key.export({ type: "spki", format: "pem" }));
    writeFileSync(join(folder, "signed"), structure);
    writeFileSync(join(folder, "signature"), derOf(signature));
    const { stdout } = spawnSync(
      "openssl",
      ["dgst", "-sha384", "-verify", "key.pem", "-signature", "signature", "signed"],
      { cwd: folder, encoding: "utf8" },
    );
    rmSync(folder, { recursive: true });
    assert.equal(stdout, "Verified OK\n");
    assert.ok(verify("sha384", structure, { key, dsaEncoding: "ieee-p1363" }, signature));
  });

  it("takes the first of several certificates, and text in front of it", () => {
    const other = createSigner().certificate;
    const pem = Buffer.from(`subject=CN = x\n${files.certificate}${other}`);
    const { certificate } = verifyImageSignature(
      changed(envelope, { signing_certificate: [...pem] }),
      pcr0,
    );
    assert.deepEqual(certificate, signer.certificate);
  });

  it("of another image is refused", () => {
    const other = pcr0.slice();
    other[47]! ^= 1;
    refusesImage("bad-signature", () => verifyImageSignature(section, other), /PCR0/);
  });

  it("of another key is refused", () => {
    const other = createSigner().certificate;
    const swapped = changed(envelope, { signing_certificate: [...Buffer.from(other)] });
    refusesImage("bad-signature", () => verifyImageSignature(swapped, pcr0), /key/);
  });

  it("of another curve is verified by that curve's rule only", () => {
    const { certificate } = createSigner("P-256");
    const swapped = changed(envelope, { signing_certificate: [...Buffer.from(certificate)] });
    refusesImage("malformed-signature", () => verifyImageSignature(swapped, pcr0), /ES256/);
  });

  const [headers, , payload, signature] = envelope;
  const faults: readonly (readonly [what: string, section: () => Uint8Array])[] = [
    ["empty", () => new Uint8Array()],
    ["an empty list", () => encodeCbor([])],
    ["a list of two", () => encodeCbor([entry, entry])],
    ["a map", () => encodeCbor(entry)],
    ["with a third key", () => changed(envelope, { other: 1 })],
    ["with bytes behind it", () => new Uint8Array([...section, 0])],
    [
      "with a certificate as a byte string",
      () => changed(envelope, { signing_certificate: Buffer.from(files.certificate) }),
    ],
    ["with no certificate's bytes", () => changed(envelope, { signing_certificate: [] })],
    [
      "with 256 as a byte",
      () =>
        changed(envelope, {
          signing_certificate: [...Buffer.from(files.certificate)].map((byte) => byte + 256),
        }),
    ],
    ["with -1 as a byte", () => changed(envelope, { signing_certificate: [-1] })],
    [
      "with a certificate in DER",
      () => changed(envelope, { signing_certificate: [...signer.certificate] }),
    ],
    [
      "with another PEM in front",
      () =>
        changed(envelope, { signing_certificate: [...Buffer.from(files.key + files.certificate)] }),
    ],
    [
      "with a certificate that is none",
      () =>
        changed(envelope, {
          signing_certificate: [
            ...Buffer.from("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
          ],
        }),
    ],
    [
      "with an RSA certificate",
      () =>
        changed(envelope, {
          signing_certificate: [...Buffer.from(createSigner("rsa").certificate)],
        }),
    ],
    ["of three parts", () => changed([headers!, new Map(), payload!])],
    ["of a text", () => changed([headers!, new Map(), "payload", signature!])],
    [
      "with an unprotected header",
      () => changed([headers!, new Map([[4, "kid"]]), payload!, signature!]),
    ],
    [
      "with another algorithm",
      () => changed([encodeCbor(new Map([[1, -7]])), new Map(), payload!, signature!]),
    ],
  ];
  for (const [what, make] of faults) {
    it(`is refused ${what}`, () => {
      refusesImage("malformed-signature", () => verifyImageSignature(make(), pcr0));
    });
  }

  it("is refused with a signature of another length", () => {
    for (const other of [new Uint8Array(), new Uint8Array(96), new Uint8Array(97)]) {
      const section = changed([headers!, new Map(), payload!, other]);
      refusesImage("bad-signature", () => verifyImageSignature(section, pcr0));
    }
  });

  it("with a byte changed is refused, or is of the same key and, if the certificate differs, of another PCR8", () => {
    fc.assert(
      fc.property(fc.nat(section.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const other = section.slice();
        other[at]! ^= change;
        try {
          const { certificate, pcr8 } = verifyImageSignature(other, pcr0);
          const key = new X509Certificate(certificate).publicKey;
          assert.ok(key.equals(new X509Certificate(files.certificate).publicKey));
          const unchanged = Buffer.from(certificate).equals(signer.certificate);
          assert.equal(Buffer.from(pcr8).equals(measureSigner(signer.certificate)), unchanged);
        } catch (error) {
          assert.ok(error instanceof ImageError, String(error));
        }
      }),
      { numRuns },
    );
  });

  describe("is not made", () => {
    const now = Date.now();
    it("with a key of another certificate", () => {
      const other = createSigner();
      refusesImage(
        "unusable-input",
        () => parseSigner(other.key, files.certificate, now),
        /not that/,
      );
    });

    it("with a curve other than P-384", () => {
      const other = createSigner("P-256");
      refusesImage("unusable-input", () => parseSigner(other.key, other.certificate, now), /P-384/);
    });

    it("with RSA", () => {
      const other = createSigner("rsa");
      refusesImage("unusable-input", () => parseSigner(other.key, other.certificate, now), /P-384/);
    });

    it("with a certificate that is not valid now", () => {
      const days = 86_400_000;
      for (const then of [now - 2 * days, now + 3 * days]) {
        refusesImage(
          "unusable-input",
          () => parseSigner(files.key, files.certificate, then),
          /valid/,
        );
      }
    });

    it("with what is no key or certificate, and says nothing of the key", () => {
      refusesImage(
        "unusable-input",
        () => parseSigner("secret", files.certificate, now),
        /^((?!secret).)*$/,
      );
      refusesImage("unusable-input", () => parseSigner(files.key, files.key, now));
    });
  });
});

describe("CBOR of signature sections", () => {
  const value = fc.letrec<{ value: CborValue; map: CborValue; leaf: CborValue }>((tie) => ({
    leaf: fc.oneof(
      fc.integer({ min: -65_536, max: 65_535 }),
      fc.string(),
      fc.uint8Array({ maxLength: 300 }),
    ),
    map: fc
      .array(fc.tuple(fc.oneof(fc.integer({ min: -300, max: 300 }), fc.string()), tie("leaf")), {
        maxLength: 5,
      })
      .map((entries) => new Map(entries)),
    value: fc.oneof(tie("leaf"), tie("map"), fc.array(tie("leaf"), { maxLength: 300 })),
  })).value;

  it("is decoded to what was encoded", () => {
    fc.assert(
      fc.property(value, (before) => assert.deepEqual(decodeCbor(encodeCbor(before)), before)),
      { numRuns },
    );
  });

  it("of any other form is refused with a RangeError or TypeError", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        try {
          // What is accepted has one encoding only.
          assert.deepEqual(Buffer.from(encodeCbor(decodeCbor(bytes))), Buffer.from(bytes));
        } catch (error) {
          assert.ok(error instanceof RangeError || error instanceof TypeError, String(error));
        }
      }),
      { numRuns },
    );
  });

  for (const [what, digits] of [
    ["a number not in shortest form", "1817"],
    ["a number of two bytes that fits one", "1900ff"],
    ["a number of four bytes", "1a00010000"],
    ["an indefinite array", "9f01ff"],
    ["a tag", "c100"],
    ["null", "f6"],
    ["a map key twice", "a2010101020203"],
    ["a map key that is a list", "a18001"],
    ["a length beyond the input", "59ffff00"],
    ["an array longer than the input", "99ffff00"],
    ["text that is no UTF-8", "61ff"],
    ["six levels", "818181818100"],
    ["bytes behind the value", "0000"],
    ["nothing", ""],
  ] as const) {
    it(`refuses ${what}`, () => {
      assert.throws(() => decodeCbor(Buffer.from(digits, "hex")), /CBOR|encoded data|UTF|utf/);
    });
  }
});
