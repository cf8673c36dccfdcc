import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { decodeHex, encodeHex } from "../../attestation/bytes.ts";
import { maxEvidenceBytes, parseEnvelope } from "../../attestation/cose.ts";
import { hasCode } from "../support/error-code.ts";

const hex = (digits: string) => decodeHex(digits.replaceAll(" ", ""))!;
const join = (...parts: Uint8Array[]) => Uint8Array.from(Buffer.concat(parts));

const order =
  "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973";
const one = `${"00".repeat(47)}01`;
const zero = "00".repeat(48);
const lastScalar = `${order.slice(0, -1)}2`;

const head = hex("84 44 a1013822 a0");
const payload = hex("43 010203");
const signature = hex(`58 60 ${one} ${lastScalar}`);
const whole = join(head, payload, signature);
const withSignature = (digits: string) => join(head, payload, hex(`58 60 ${digits}`));

describe("the envelope", () => {
  it("gives payload, signature and the bytes that were signed", () => {
    const envelope = parseEnvelope(whole);
    assert.equal(encodeHex(envelope.payload), "010203");
    assert.equal(encodeHex(envelope.signature), one + lastScalar);
    // RFC 9052 §4.4: ["Signature1", h'a1013822', h'', h'010203']
    const text = encodeHex(new TextEncoder().encode("Signature1"));
    assert.equal(encodeHex(envelope.signedBytes), `846a${text}44a10138224043010203`);
  });

  it("may have the tag of COSE_Sign1", () => {
    assert.deepEqual(parseEnvelope(join(hex("d2"), whole)), parseEnvelope(whole));
  });

  it("is copied, so that the input may change later", () => {
    const input = whole.slice();
    const envelope = parseEnvelope(input);
    input.fill(0);
    assert.deepEqual(envelope, parseEnvelope(whole));
  });

  for (const [length, lengthHead] of [
    [23, "57"],
    [24, "58 18"],
    [255, "58 ff"],
    [256, "59 0100"],
    [16_384, "59 4000"],
  ] as const) {
    it(`takes a payload of ${length} bytes`, () => {
      const bytes = join(head, hex(lengthHead), new Uint8Array(length), signature);
      assert.equal(parseEnvelope(bytes).payload.length, length);
    });
  }

  const malformed: readonly (readonly [name: string, bytes: Uint8Array, message: RegExp])[] = [
    ["nothing", hex(""), /1 to 20000 bytes, received 0/],
    ["too much", new Uint8Array(maxEvidenceBytes + 1), /received 20001/],
    [
      "as much as there may be of something else",
      new Uint8Array(maxEvidenceBytes),
      /array of four/,
    ],
    ["null", hex("f6"), /array of four/],
    ["an array of four of nothing", hex("84"), /protected header .* received the end/],
    ["an array of three", join(hex("83"), whole.subarray(1)), /array of four/],
    [
      "an array of indefinite length",
      join(hex("9f"), whole.subarray(1), hex("ff")),
      /array of four/,
    ],
    ["the tag twice", join(hex("d2d2"), whole), /array of four/],
    ["the tag of COSE_Sign", join(hex("d862"), whole), /array of four/],
    ["the tag of CWT", join(hex("d83d"), whole), /array of four/],
    ["the tag that says CBOR", join(hex("d9d9f7"), whole), /array of four/],
    ["ES256", join(hex("84 43 a10126 a0"), payload, signature), /protected header/],
    ["ES512", join(hex("84 44 a1013823 a0"), payload, signature), /protected header/],
    ["an empty protected header", join(hex("84 40 a0"), payload, signature), /protected header/],
    ["a protected map", join(hex("84 a1013822 a0"), payload, signature), /protected header/],
    [
      "a second protected parameter",
      join(hex("84 46 a20138220400 a0"), payload, signature),
      /protected header/,
    ],
    ["an unprotected alg", join(hex("84 44 a1013822 a1013822"), payload, signature), /unprotected/],
    ["an unprotected null", join(hex("84 44 a1013822 f6"), payload, signature), /unprotected/],
    ["an unprotected bf ff", join(hex("84 44 a1013822 bfff"), payload, signature), /unprotected/],
    ["an integer as payload", join(head, hex("03 010203"), signature), /byte string, received 03/],
    ["no payload", join(head, hex("f6"), signature), /payload as a byte string, received f6/],
    ["a payload of text", join(head, hex("63 616263"), signature), /payload as a byte string/],
    ["a payload in chunks", join(head, hex("5f 41 00 ff"), signature), /payload as a byte string/],
    ["an empty payload", join(head, hex("40"), signature), /payload of 1 to 16384/],
    [
      "a payload of 16385 bytes",
      join(head, hex("59 4001"), new Uint8Array(16_385), signature),
      /payload of 1 to 16384 bytes, received 16385/,
    ],
    ["a payload with a long length", join(head, hex("58 03 010203"), signature), /shortest form/],
    ["a payload with a longer length", join(head, hex("59 0003 010203"), signature), /shortest/],
    ["a payload of 2^32 - 1 bytes", join(head, hex("5a ffffffff"), signature), /byte string/],
    [
      "a payload of 2^63 - 1 bytes",
      join(head, hex("5b 7fffffffffffffff"), signature),
      /byte string/,
    ],
    ["a payload that is cut short", join(head, hex("43 0102")), /3 bytes of payload, received 2/],
    ["a payload length that is cut short", join(head, hex("59 01")), /payload is cut short/],
    ["no signature", join(head, payload), /signature, received the end/],
    ["a signature of 95 bytes", join(head, payload, hex("58 5f"), new Uint8Array(95)), /96 bytes/],
    ["a signature of 97 bytes", join(head, payload, hex("58 61"), new Uint8Array(97)), /96 bytes/],
    ["an empty signature", join(head, payload, hex("40")), /96 bytes, received 0/],
    [
      "a signature with a long length",
      join(head, payload, hex("59 0060"), hex(one + one)),
      /shortest/,
    ],
    ["a byte behind the signature", join(whole, hex("00")), /the end after the signature/],
    ["base64 text", new TextEncoder().encode("hEShATgioFkRFr9p"), /array of four/],
  ];
  for (const [name, bytes, message] of malformed) {
    it(`refuses ${name}`, () => {
      assert.throws(() => parseEnvelope(bytes), hasCode("malformed-evidence", message));
    });
  }

  for (const [name, digits] of [
    ["r = 0", zero + one],
    ["s = 0", one + zero],
    ["r = n", order + one],
    ["s = n", one + order],
    ["all ones", "ff".repeat(96)],
    ["all zeros", zero + zero],
  ] as const) {
    it(`refuses a signature with ${name} as one that nobody made`, () => {
      assert.throws(() => parseEnvelope(withSignature(digits)), hasCode("bad-signature"));
    });
  }

  it("refuses every beginning of itself", () => {
    for (let length = 0; length < whole.length; length++) {
      assert.throws(() => parseEnvelope(whole.subarray(0, length)), hasCode("malformed-evidence"));
    }
  });
});
