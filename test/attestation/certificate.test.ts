import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { encodeHex } from "../../attestation/bytes.ts";
import { parseCertificate } from "../../attestation/certificate.ts";
import { hasCode } from "../support/error-code.ts";
import {
  basicConstraintsType,
  type CertificateParts,
  certificate,
  commonNameType,
  der,
  ecdsaWithSha384,
  extension,
  hex,
  integer,
  keyUsageType,
  name,
  oid,
  organizationType,
  publicKeyInfo,
  sequence,
  text,
} from "../support/der.ts";

const parse = (changes: Partial<CertificateParts> = {}) =>
  parseCertificate(certificate(changes), "cabundle[7]");
const utc = (value: string) => text(value, 0x17);
const generalized = (value: string) => text(value, 0x18);
const truth = der(1, Uint8Array.of(0xff));
const constraints = (...content: Uint8Array[]) => ({
  extensions: [extension(basicConstraintsType, sequence(...content), true)],
});
const usage = (digits: string) => ({ extensions: [extension(keyUsageType, der(3, hex(digits)))] });
const signature = (...content: Uint8Array[]) => ({
  signature: Buffer.concat([Uint8Array.of(0), ...content]),
});
const order = hex(
  "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973",
);

describe("a certificate", () => {
  it("is read part by part", () => {
    const encoding = certificate();
    const parsed = parseCertificate(encoding, "certificate");
    assert.equal(parsed.where, "certificate");
    assert.deepEqual(parsed.encoding, encoding);
    assert.equal(encodeHex(parsed.serialNumber), "01");
    assert.equal(parsed.issuer.commonName, "issuer");
    assert.equal(parsed.subject.commonName, "subject");
    assert.deepEqual(parsed.subject.encoding, name([commonNameType, "subject"]));
    assert.equal(parsed.notBeforeMs, Date.UTC(2024, 0, 1));
    assert.equal(parsed.notAfterMs, Date.UTC(2025, 0, 1));
    assert.equal(parsed.publicKey.length, 97);
    assert.equal(encodeHex(parsed.signature), `${"01".padStart(96, "0")}${"02".padStart(96, "0")}`);
    assert.deepEqual(parsed.basicConstraints, { critical: true, ca: true, pathLen: 1 });
    assert.deepEqual(parsed.keyUsage, { digitalSignature: true, keyCertSign: true });
  });

  it("gives the bytes that its issuer signed", () => {
    const encoding = certificate();
    const { signedBytes } = parseCertificate(encoding, "certificate");
    const rest = Buffer.concat([
      ecdsaWithSha384,
      der(3, hex("00"), sequence(integer(1), integer(2))),
    ]);
    assert.deepEqual(sequence(signedBytes, rest), encoding);
  });

  describe("is accepted with", () => {
    for (const [what, changes] of [
      ["an extension of 128 bytes", { extensions: [extension("550400", new Uint8Array(128))] }],
      [
        "an unknown extension that is not critical",
        { extensions: [extension("550400", hex("0500"))] },
      ],
      [
        "a serial number of 20 bytes",
        { serialNumber: integer(0x7f, ...new Uint8Array(19).fill(0xff)) },
      ],
      ["a serial number with a sign byte", { serialNumber: integer(0, 0x80) }],
      [
        "a name of several attributes in a set",
        {
          subject: sequence(
            der(
              0x31,
              sequence(oid("550406"), text("US", 0x13)),
              sequence(oid("550408"), text("WA")),
            ),
          ),
        },
      ],
      [
        "a name of printable text",
        { subject: sequence(der(0x31, sequence(oid(commonNameType), text("a", 0x13)))) },
      ],
      [
        "r of 48 bytes with a sign byte",
        signature(sequence(der(2, hex("00"), hex("ff".repeat(24) + "00".repeat(24))), integer(1))),
      ],
    ] as const) {
      it(what, () => {
        parse(changes);
      });
    }
  });

  describe("has the validity of", () => {
    for (const [field, expected] of [
      [utc("500101000000Z"), Date.UTC(1950, 0, 1)],
      [utc("491231235959Z"), Date.UTC(2049, 11, 31, 23, 59, 59)],
      [utc("240229120000Z"), Date.UTC(2024, 1, 29, 12)],
      [utc("000229000000Z"), Date.UTC(2000, 1, 29)],
      [generalized("20500910000000Z"), Date.UTC(2050, 8, 10)],
      [generalized("99991231235959Z"), Date.UTC(9999, 11, 31, 23, 59, 59)],
    ] as const) {
      it(Buffer.from(field.subarray(2)).toString(), () => {
        assert.equal(parse({ notBefore: field }).notBeforeMs, expected);
      });
    }
  });

  describe("is refused with a time", () => {
    for (const [field, message] of [
      [utc("2401010000Z"), /in seconds with Z/],
      [utc("240101000000"), /in seconds with Z/],
      [utc("240101000000+0000"), /in seconds with Z/],
      [utc("240101000000Z0"), /in seconds with Z/],
      [utc("24010100000aZ"), /in seconds with Z/],
      [utc("20240101000000Z"), /in seconds with Z/],
      [utc(""), /in seconds with Z/],
      [utc("240230000000Z"), /does not exist/],
      [utc("230229000000Z"), /does not exist/],
      [utc("240001000000Z"), /does not exist/],
      [utc("241301000000Z"), /does not exist/],
      [utc("240100000000Z"), /does not exist/],
      [utc("240101240000Z"), /does not exist/],
      [utc("240101006000Z"), /does not exist/],
      [utc("240101000060Z"), /does not exist/],
      [generalized("20491231235959Z"), /UTCTime/],
      [generalized("00010101000000Z"), /UTCTime/],
      [generalized("20500101000000.5Z"), /in seconds with Z/],
      [generalized("20500101000000"), /in seconds with Z/],
      [generalized("500101000000Z"), /in seconds with Z/],
      [text("240101000000Z"), /expected tag/],
    ] as const) {
      it(`${Buffer.from(field.subarray(2)).toString() || "of nothing"} under tag ${field[0]}`, () => {
        assert.throws(() => parse({ notAfter: field }), hasCode("untrusted-chain", message));
      });
    }
  });

  describe("is refused with", () => {
    const unknown = extension("550400", hex("0500"), true);
    const refused: readonly (readonly [string, Partial<CertificateParts>, RegExp])[] = [
      ["version 1", { version: hex("") }, /expected tag a0/],
      ["version 1 in full", { version: der(0xa0, integer(0)) }, /version 3/],
      ["version 2", { version: der(0xa0, integer(1)) }, /version 3/],
      ["two versions", { version: der(0xa0, integer(2), integer(2)) }, /expected the end/],
      ["a version of 512", { version: der(0xa0, integer(2, 0)) }, /version 3/],
      ["a version of two bytes", { version: der(0xa0, integer(0, 2)) }, /version 3/],
      ["serial number 0", { serialNumber: integer(0) }, /positive integer/],
      ["a negative serial number", { serialNumber: integer(0x80) }, /0 or more/],
      ["an empty serial number", { serialNumber: integer() }, /0 or more/],
      ["a serial number with a byte too many", { serialNumber: integer(0, 1) }, /shortest form/],
      [
        "a serial number of 21 bytes",
        { serialNumber: integer(...new Uint8Array(21).fill(1)) },
        /20 bytes/,
      ],
      [
        "an inner algorithm of SHA-256",
        { innerAlgorithm: sequence(oid("2a8648ce3d040302")) },
        /ecdsa-with-SHA384/,
      ],
      [
        "an outer algorithm of SHA-512",
        { outerAlgorithm: sequence(oid("2a8648ce3d040304")) },
        /ecdsa-with-SHA384/,
      ],
      [
        "an algorithm with parameters",
        { outerAlgorithm: sequence(oid("2a8648ce3d040303"), hex("0500")) },
        /ecdsa-with-SHA384/,
      ],
      ["an empty issuer", { issuer: sequence() }, /empty/],
      ["an empty subject", { subject: sequence() }, /empty/],
      ["a name with an empty set", { subject: sequence(der(0x31)) }, /received the end/],
      [
        "a name with an empty attribute",
        { subject: sequence(der(0x31, sequence())) },
        /received the end/,
      ],
      [
        "a name with an attribute of three",
        { subject: sequence(der(0x31, sequence(oid("550406"), text("US"), text("US")))) },
        /expected the end/,
      ],
      [
        "a common name twice",
        { subject: name([commonNameType, "a"], [commonNameType, "b"]) },
        /there before/,
      ],
      [
        "an organization twice",
        { subject: name([organizationType, "a"], [organizationType, "b"]) },
        /there before/,
      ],
      [
        "a common name that is no UTF-8",
        { subject: sequence(der(0x31, sequence(oid(commonNameType), der(0x0c, hex("ff"))))) },
        /UTF-8/,
      ],
      [
        "a common name of another string type",
        { subject: sequence(der(0x31, sequence(oid(commonNameType), text("a", 0x1e)))) },
        /expected tag 0c13/,
      ],
      [
        "an attribute with a tag of several bytes",
        {
          subject: sequence(der(0x31, sequence(oid("550406"), hex("1f810100")))),
        },
        /several bytes/,
      ],
      [
        "a third time",
        { notAfter: Buffer.concat([utc("250101000000Z"), utc("250101000000Z")]) },
        /expected the end/,
      ],
      [
        "a key of P-256",
        {
          publicKey: publicKeyInfo(
            hex(`04${"01".repeat(64)}`),
            sequence(oid("2a8648ce3d0201"), oid("2a8648ce3d030107")),
          ),
        },
        /P-384/,
      ],
      [
        "a key of P-521",
        {
          publicKey: publicKeyInfo(
            hex(`04${"01".repeat(132)}`),
            sequence(oid("2a8648ce3d0201"), oid("2b81040023")),
          ),
        },
        /P-384/,
      ],
      [
        "a key of RSA",
        {
          publicKey: publicKeyInfo(
            hex("3003020101"),
            sequence(oid("2a864886f70d010101"), hex("0500")),
          ),
        },
        /P-384/,
      ],
      [
        "explicit curve parameters",
        {
          publicKey: publicKeyInfo(
            undefined,
            sequence(oid("2a8648ce3d0201"), sequence(integer(1))),
          ),
        },
        /P-384/,
      ],
      ["a compressed point", { publicKey: publicKeyInfo(hex(`02${"01".repeat(48)}`)) }, /P-384/],
      [
        "a point off the curve",
        { publicKey: publicKeyInfo(hex(`04${"01".repeat(96)}`)) },
        /uncompressed point/,
      ],
      [
        "a key with unused bits",
        {
          publicKey: sequence(
            sequence(oid("2a8648ce3d0201"), oid("2b81040022")),
            der(3, hex("01"), publicKeyInfo().subarray(-97)),
          ),
        },
        /P-384/,
      ],
      ["a unique identifier", { trailer: der(0x81, hex("00")) }, /expected the end/],
      ["extensions twice", { trailer: der(0xa3, sequence(unknown)) }, /expected the end/],
      [
        "two lists of extensions",
        {
          extensions: undefined,
          trailer: der(0xa3, sequence(extension("550400", hex(""))), sequence()),
        },
        /expected the end/,
      ],
      ["no extension in the field", { extensions: [] }, /received the end/],
      [
        "a critical extension that is unknown",
        { extensions: [unknown] },
        /550400, critical, is not supported/,
      ],
      [
        "critical nameConstraints",
        { extensions: [extension("551d1e", sequence(), true)] },
        /551d1e, critical, is/,
      ],
      [
        "nameConstraints that are not critical",
        { extensions: [extension("551d1e", sequence())] },
        /551d1e is not/,
      ],
      [
        "an extension twice",
        { extensions: [extension("550400", hex("")), extension("550400", hex(""))] },
        /there before/,
      ],
      [
        "basicConstraints twice",
        {
          extensions: [
            extension(basicConstraintsType, sequence(), true),
            extension(basicConstraintsType, sequence(truth), true),
          ],
        },
        /there before/,
      ],
      [
        "critical as 01",
        { extensions: [sequence(oid("550400"), der(1, hex("01")), der(4))] },
        /TRUE as ff/,
      ],
      [
        "critical as FALSE",
        { extensions: [sequence(oid("550400"), der(1, hex("00")), der(4))] },
        /TRUE as ff/,
      ],
      [
        "critical of two bytes",
        { extensions: [sequence(oid("550400"), der(1, hex("ffff")), der(4))] },
        /TRUE as ff/,
      ],
      [
        "an extension of four parts",
        { extensions: [sequence(oid("550400"), der(4), der(4))] },
        /expected the end/,
      ],
      ["CA as 01", constraints(der(1, hex("01"))), /TRUE as ff/],
      ["CA as FALSE in full", constraints(der(1, hex("00"))), /TRUE as ff/],
      ["a negative pathLen", constraints(truth, integer(0xff)), /0 or more/],
      ["a pathLen of 256", constraints(truth, integer(1, 0)), /below 256/],
      ["a pathLen with a byte too many", constraints(truth, integer(0, 1)), /shortest form/],
      ["two pathLens", constraints(truth, integer(1), integer(1)), /expected the end/],
      [
        "bytes behind basicConstraints",
        {
          extensions: [
            extension(basicConstraintsType, Buffer.concat([sequence(truth), hex("00")]), true),
          ],
        },
        /expected the end/,
      ],
      ["keyUsage of no bits", usage("00"), /1 to 9 bits/],
      ["an empty keyUsage", usage(""), /1 to 9 bits/],
      ["keyUsage of 8 unused bits", usage("0880"), /1 to 9 bits/],
      ["keyUsage of 17 bits", usage("07800080"), /1 to 9 bits/],
      ["keyUsage with a bit among the unused", usage("038c"), /zero bits/],
      ["keyUsage with a bit in place of the only unused", usage("0187"), /zero bits/],
      ["keyUsage with a zero bit at its end", usage("0184"), /zero bits/],
      ["keyUsage of zeros", usage("0000"), /zero bits/],
      [
        "bytes behind keyUsage",
        { extensions: [extension(keyUsageType, Buffer.concat([der(3, hex("0780")), hex("00")]))] },
        /expected the end/,
      ],
      [
        "a signature with unused bits",
        { signature: Buffer.concat([hex("01"), sequence(integer(1), integer(2))]) },
        /unused bits/,
      ],
      ["an empty signature", { signature: hex("") }, /unused bits/],
      ["a signature of one integer", signature(sequence(integer(1))), /received the end/],
      [
        "a signature of three integers",
        signature(sequence(integer(1), integer(1), integer(1))),
        /expected the end/,
      ],
      [
        "bytes behind the signature",
        signature(sequence(integer(1), integer(1)), hex("00")),
        /expected the end/,
      ],
      ["r = 0", signature(sequence(integer(0), integer(1))), /positive integer/],
      ["s = n", signature(sequence(integer(1), integer(0, ...order))), /1 to n - 1/],
      ["r = n", signature(sequence(integer(0, ...order), integer(1))), /1 to n - 1/],
      ["a negative s", signature(sequence(integer(1), integer(0x80))), /0 or more/],
      [
        "r of 49 bytes",
        signature(sequence(integer(...new Uint8Array(49).fill(1)), integer(1))),
        /96 bytes/,
      ],
    ];
    for (const [what, changes, message] of refused) {
      it(what, () => {
        assert.throws(() => parse(changes), hasCode("untrusted-chain", message));
      });
    }

    it("its name in the message", () => {
      const named = hasCode("untrusted-chain", /^\[untrusted-chain\] cabundle\[7\]: /);
      assert.throws(() => parse({ version: der(0xa0, integer(1)) }), named);
    });
  });

  it("may have no extensions and then no use", () => {
    const { basicConstraints, keyUsage } = parse({ extensions: undefined });
    assert.deepEqual(
      { basicConstraints, keyUsage },
      { basicConstraints: undefined, keyUsage: undefined },
    );
  });

  for (const [digits, digitalSignature, keyCertSign] of [
    ["06c0", true, false],
    ["0204", false, true],
    ["0186", true, true],
    ["0640", false, false],
    ["0001", false, false],
    ["007b", false, false],
    ["0085", true, true],
    ["070080", false, false],
    ["078480", true, true],
  ] as const) {
    it(`has the uses of ${digits}`, () => {
      assert.deepEqual(parse(usage(digits)).keyUsage, { digitalSignature, keyCertSign });
    });
  }

  it("has the limits of its basicConstraints", () => {
    const { basicConstraints } = parse({
      extensions: [extension(basicConstraintsType, sequence())],
    });
    assert.deepEqual(basicConstraints, { critical: false, ca: false, pathLen: undefined });
    assert.equal(parse(constraints(truth, integer(0))).basicConstraints?.pathLen, 0);
  });

  describe("in other than DER is refused:", () => {
    const encoding = certificate();
    for (const [what, bytes, message] of [
      ["nothing", hex(""), /received the end/],
      ["a byte behind it", Buffer.concat([encoding, hex("00")]), /expected the end/],
      ["its last byte missing", encoding.subarray(0, -1), /bytes of content/],
      [
        "an indefinite length",
        Buffer.concat([hex("3080"), encoding.subarray(4), hex("0000")]),
        /indefinite/,
      ],
      [
        "a length in a byte too many",
        Buffer.concat([hex("3083"), hex("00"), encoding.subarray(2)]),
        /indefinite or beyond/,
      ],
      ["a length of 128 to 255 in two bytes", hex("308200ff"), /shortest form/],
      ["a length below 128 in one byte", hex("30817f"), /shortest form/],
      ["a length of four bytes", hex("3084ffffffff"), /indefinite or beyond/],
      [
        "another tag",
        Buffer.concat([hex("31"), encoding.subarray(1)]),
        /expected tag 30, received 31/,
      ],
      ["a fourth part", sequence(encoding.subarray(4), hex("0500")), /expected the end/],
    ] as const) {
      it(what, () => {
        assert.throws(() => parseCertificate(bytes, "x"), hasCode("untrusted-chain", message));
      });
    }

    it("any beginning of itself", () => {
      for (let length = 0; length < encoding.length; length++) {
        assert.throws(
          () => parseCertificate(encoding.subarray(0, length), "x"),
          hasCode("untrusted-chain"),
        );
      }
    });
  });
});
