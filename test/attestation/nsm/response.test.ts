import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { AttestationError } from "../../../attestation/errors.ts";
import {
  type NsmAnswers,
  decodeResponse,
  encodeError,
  encodeResponse,
} from "../../../attestation/nsm/response.ts";

const RUNS = Number(process.env["FUZZ_RUNS"] ?? 100);
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
const text = (value: string) => hex(Buffer.from(value));
const fromHex = (value: string) => Uint8Array.from(Buffer.from(value, "hex"));
const key = (name: string) => (0x60 + name.length).toString(16) + text(name);
const pcr = new Uint8Array(48).fill(0xab);

const description = {
  version: [1, 2, 300] as const,
  moduleId: "i-0-enc0",
  maxPcrs: 32,
  lockedPcrs: [0, 1, 24],
};
const describeFields =
  `${key("version_major")}01${key("version_minor")}02${key("version_patch")}19012c` +
  `${key("module_id")}${key("i-0-enc0")}${key("max_pcrs")}1820` +
  `${key("locked_pcrs")}8300011818${key("digest")}${key("SHA384")}`;

interface Encoding<Name extends keyof NsmAnswers> {
  name: Name;
  answer: NsmAnswers[Name];
  encoded: string;
}
const encoding = <Name extends keyof NsmAnswers>(
  name: Name,
  answer: NsmAnswers[Name],
  encoded: string,
): Encoding<Name> => ({ name, answer, encoded });

const encodings = [
  encoding("DescribeNSM", description, `a1${key("DescribeNSM")}a7${describeFields}`),
  encoding("GetRandom", Uint8Array.of(5), `a1${key("GetRandom")}a1${key("random")}4105`),
  encoding(
    "DescribePCR",
    { locked: true, value: pcr },
    `a1${key("DescribePCR")}a2${key("lock")}f5${key("data")}5830${hex(pcr)}`,
  ),
  encoding("ExtendPCR", pcr, `a1${key("ExtendPCR")}a1${key("data")}5830${hex(pcr)}`),
  encoding("LockPCR", undefined, key("LockPCR")),
  encoding("LockPCRs", undefined, key("LockPCRs")),
  encoding("Attestation", Uint8Array.of(1, 2), `a1${key("Attestation")}a1${key("document")}420102`),
] as const;

function assertUnavailable(name: keyof NsmAnswers, encoded: string, message: RegExp) {
  assert.throws(() => decodeResponse(name, fromHex(encoded)), { code: "nsm-unavailable", message });
}

describe("responses of the NSM", () => {
  for (const { name, answer, encoded } of encodings) {
    it(`encodes and decodes ${name}`, () => {
      assert.equal(hex(encodeResponse(name, answer as never)), encoded);
      assert.deepEqual(decodeResponse(name, fromHex(encoded)), answer);
    });

    it(`refuses ${name} as the answer to another request`, () => {
      const other = name === "GetRandom" ? "Attestation" : "GetRandom";
      assertUnavailable(other, encoded, /unknown response/);
    });
  }

  it("gives copies, so that the response's bytes can be used again", () => {
    const response = encodeResponse("Attestation", Uint8Array.of(1, 2));
    const document = decodeResponse("Attestation", response);
    response.fill(0);
    assert.deepEqual(document, Uint8Array.of(1, 2));
  });

  it("says in the module's own words why it refused", () => {
    assert.equal(hex(encodeError("InputTooLarge")), `a1${key("Error")}${key("InputTooLarge")}`);
    assertUnavailable("Attestation", hex(encodeError("InputTooLarge")), /"InputTooLarge"/);
  });

  it("keeps a strange error text short and on one line", () => {
    const strange = `${"\n".repeat(10)}${"x".repeat(200)}`;
    const response = fromHex(`a1${key("Error")}78d2${text(strange)}`);
    assert.throws(
      () => decodeResponse("GetRandom", response),
      (error: AttestationError) => error.message.length < 200 && !error.message.includes("\n"),
    );
  });

  const refused: Record<string, [keyof NsmAnswers, string]> = {
    "no bytes": ["Attestation", ""],
    "bytes that are not CBOR": ["Attestation", "ff"],
    "a byte after the response": ["LockPCR", `${key("LockPCR")}00`],
    "a number": ["Attestation", "01"],
    "an empty map": ["Attestation", "a0"],
    "two responses in one map": ["LockPCR", `a2${key("LockPCR")}a0${key("LockPCRs")}a0`],
    "an unknown response": ["Attestation", `a1${key("Other")}a0`],
    "an error that is no text": ["Attestation", `a1${key("Error")}01`],
    "a response without a map of fields": ["Attestation", `a1${key("Attestation")}f6`],
    "a document that is text": ["Attestation", `a1${key("Attestation")}a1${key("document")}6131`],
    "an empty document": ["Attestation", `a1${key("Attestation")}a1${key("document")}40`],
    "a missing document": ["Attestation", `a1${key("Attestation")}a0`],
    "a bare name that must have fields": ["Attestation", key("Attestation")],
    "a field too many": [
      "Attestation",
      `a1${key("Attestation")}a2${key("document")}4101${key("other")}4101`,
    ],
    "fields on a bare name": ["LockPCR", `a1${key("LockPCR")}a1${key("index")}10`],
    "a register of 47 bytes": [
      "ExtendPCR",
      `a1${key("ExtendPCR")}a1${key("data")}582f${"ab".repeat(47)}`,
    ],
    "a lock that is a number": [
      "DescribePCR",
      `a1${key("DescribePCR")}a2${key("lock")}01${key("data")}5830${hex(pcr)}`,
    ],
    "no random bytes": ["GetRandom", `a1${key("GetRandom")}a1${key("random")}40`],
    "257 random bytes": [
      "GetRandom",
      `a1${key("GetRandom")}a1${key("random")}590101${"00".repeat(257)}`,
    ],
    "a digest other than SHA384": [
      "DescribeNSM",
      `a1${key("DescribeNSM")}a7${describeFields.replace(text("SHA384"), text("SHA512"))}`,
    ],
    "a version that is text": [
      "DescribeNSM",
      `a1${key("DescribeNSM")}a7${describeFields.replace("19012c", "6131")}`,
    ],
    "an empty module id": [
      "DescribeNSM",
      `a1${key("DescribeNSM")}a7${describeFields.replace(key("i-0-enc0"), "60")}`,
    ],
    "locked PCRs that are no list": [
      "DescribeNSM",
      `a1${key("DescribeNSM")}a7${describeFields.replace("8300011818", "00")}`,
    ],
    "33 locked PCRs": [
      "DescribeNSM",
      `a1${key("DescribeNSM")}a7${describeFields.replace("8300011818", `9821${"01".repeat(33)}`)}`,
    ],
    "a locked PCR that is text": [
      "DescribeNSM",
      `a1${key("DescribeNSM")}a7${describeFields.replace("8300011818", "816131")}`,
    ],
  };
  for (const [what, [name, encoded]] of Object.entries(refused)) {
    it(`refuses ${what}`, () => {
      assertUnavailable(name, encoded, /unknown response/);
    });
  }

  it("reads any bytes to an answer or to nsm-unavailable", () => {
    const names = encodings.map(({ name }) => name);
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 100 }),
      fc
        .tuple(fc.constantFrom(...encodings), fc.nat(), fc.integer({ min: 0, max: 255 }))
        .map(([{ encoded }, at, value]) => {
          const changed = fromHex(encoded);
          changed[at % changed.length] = value;
          return changed;
        }),
    );
    fc.assert(
      fc.property(fc.constantFrom(...names), bytes, (name, response) => {
        try {
          decodeResponse(name, response);
        } catch (error) {
          assert.ok(error instanceof AttestationError && error.code === "nsm-unavailable");
        }
      }),
      { numRuns: RUNS },
    );
  });
});
