import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { type NsmRequest, decodeRequest, encodeRequest } from "../../../attestation/nsm/request.ts";

const RUNS = Number(process.env["FUZZ_RUNS"] ?? 100);
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
const text = (value: string) => hex(Buffer.from(value));
const fromHex = (value: string) => Uint8Array.from(Buffer.from(value, "hex"));
const none = { publicKey: undefined, userData: undefined, nonce: undefined };

/** Each request, and its bytes as the driver's other clients write them. */
const encodings: [NsmRequest, string][] = [
  [{ name: "DescribeNSM" }, `6b${text("DescribeNSM")}`],
  [{ name: "GetRandom" }, `69${text("GetRandom")}`],
  [{ name: "DescribePCR", index: 31 }, `a16b${text("DescribePCR")}a165${text("index")}181f`],
  [
    { name: "ExtendPCR", index: 16, data: Uint8Array.of(1, 2) },
    `a169${text("ExtendPCR")}a265${text("index")}1064${text("data")}420102`,
  ],
  [{ name: "LockPCR", index: 300 }, `a167${text("LockPCR")}a165${text("index")}19012c`],
  [{ name: "LockPCRs", range: 20 }, `a168${text("LockPCRs")}a165${text("range")}14`],
  [
    { name: "Attestation", ...none },
    `a16b${text("Attestation")}a3` +
      `69${text("user_data")}f665${text("nonce")}f66a${text("public_key")}f6`,
  ],
  [
    {
      name: "Attestation",
      publicKey: Uint8Array.of(3),
      userData: new Uint8Array(),
      nonce: new Uint8Array(24),
    },
    `a16b${text("Attestation")}a3` +
      `69${text("user_data")}4065${text("nonce")}5818${"00".repeat(24)}6a${text("public_key")}4103`,
  ],
];

describe("requests of the NSM", () => {
  for (const [request, encoded] of encodings) {
    it(`encodes and decodes ${request.name} as ${encoded.slice(0, 24)}…`, () => {
      assert.equal(hex(encodeRequest(request)), encoded);
      assert.deepEqual(decodeRequest(fromHex(encoded)), request);
    });
  }

  it("fits three fields of 1024 bytes into what the driver takes", () => {
    const field = new Uint8Array(1024);
    const request = {
      name: "Attestation",
      publicKey: field,
      userData: field,
      nonce: field,
    } as const;
    const encoded = encodeRequest(request);
    assert.ok(encoded.length <= 4096);
    assert.deepEqual(decodeRequest(encoded), request);
  });

  it("takes an attestation whose absent fields are left out", () => {
    const encoded = fromHex(`a16b${text("Attestation")}a165${text("nonce")}4107`);
    assert.deepEqual(decodeRequest(encoded), {
      ...none,
      name: "Attestation",
      nonce: Uint8Array.of(7),
    });
  });

  const refused = {
    "no bytes": "",
    "an unknown name": `65${text("Other")}`,
    "a name that needs arguments": `6b${text("Attestation")}`,
    "arguments to a name without any": `a169${text("GetRandom")}a0`,
    "an unknown name with arguments": `a165${text("Other")}a0`,
    "two requests in one map": `a269${text("GetRandom")}a06b${text("DescribeNSM")}a0`,
    "an empty map": "a0",
    "a number": "01",
    "arguments that are no map": `a16b${text("DescribePCR")}01`,
    "a missing index": `a16b${text("DescribePCR")}a0`,
    "an index beyond 16 bits": `a16b${text("DescribePCR")}a165${text("index")}1a00010000`,
    "a negative index": `a16b${text("DescribePCR")}a165${text("index")}20`,
    "a fraction as index": `a16b${text("DescribePCR")}a165${text("index")}f93c01`,
    "text as index": `a16b${text("DescribePCR")}a165${text("index")}6131`,
    "an argument too many": `a16b${text("DescribePCR")}a265${text("index")}0165${text("other")}01`,
    "an argument too many for a range": `a168${text("LockPCRs")}a265${text("range")}1465${text("index")}01`,
    "a missing range": `a168${text("LockPCRs")}a165${text("index")}01`,
    "a range beyond 16 bits": `a168${text("LockPCRs")}a165${text("range")}1a00010000`,
    "text as data": `a169${text("ExtendPCR")}a265${text("index")}1064${text("data")}6131`,
    "text as nonce": `a16b${text("Attestation")}a165${text("nonce")}6131`,
    "an unknown field": `a16b${text("Attestation")}a165${text("Nonce")}4107`,
    "a byte after the request": `69${text("GetRandom")}00`,
    "a request cut short": `69${text("GetRando")}`,
    "deep nesting": "81".repeat(4000) + "00",
    "a huge array": "9a7fffffff",
    "more than 4096 bytes": `a169${text("ExtendPCR")}a265${text("index")}1064${text("data")}591000${"00".repeat(4096)}`,
  };
  for (const [what, encoded] of Object.entries(refused)) {
    it(`refuses ${what}`, () => {
      assert.equal(decodeRequest(fromHex(encoded)), undefined);
    });
  }

  it("decodes any bytes to a request or to nothing, without a throw", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        decodeRequest(bytes);
      }),
      { numRuns: RUNS },
    );
  });

  it("decodes a changed request to a request or to nothing, without a throw", () => {
    const encoded = encodings.map(([, value]) => fromHex(value));
    fc.assert(
      fc.property(
        fc.constantFrom(...encoded),
        fc.nat(),
        fc.integer({ min: 0, max: 255 }),
        (bytes, at, value) => {
          const changed = Uint8Array.from(bytes);
          changed[at % changed.length] = value;
          decodeRequest(changed);
        },
      ),
      { numRuns: RUNS },
    );
  });
});
