import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseDocument } from "../../attestation/document.ts";
import { cborUint, type CborValue, encodeCbor } from "../../attestation/nsm/cbor.ts";
import { hasCode } from "../support/error-code.ts";

const pcr = new Uint8Array(48).fill(7);

function fieldsWith(changes: Readonly<Record<string, CborValue | undefined>> = {}) {
  const fields = new Map<string, CborValue>([
    ["module_id", "i-1234567890abcdef0-enc1234567890abcdef"],
    ["digest", "SHA384"],
    ["timestamp", cborUint(1_700_000_000_000)],
    ["pcrs", new Map([[0, pcr]])],
    ["certificate", Uint8Array.of(1)],
    ["cabundle", [Uint8Array.of(2), Uint8Array.of(3)]],
    ["public_key", null],
    ["user_data", null],
    ["nonce", null],
  ]);
  for (const [key, value] of Object.entries(changes)) {
    if (value === undefined) fields.delete(key);
    else fields.set(key, value);
  }
  return fields;
}

const parseWith = (changes: Readonly<Record<string, CborValue | undefined>>) =>
  parseDocument(encodeCbor(fieldsWith(changes)));
const registers = (count: number) =>
  new Map(Array.from({ length: count }, (_, register) => [register, pcr] as const));
const bytes = (length: number) => new Uint8Array(length);

describe("the attestation document", () => {
  it("is read with the names that AWS gave", () => {
    assert.deepEqual(parseWith({ public_key: Uint8Array.of(4), nonce: Uint8Array.of(5, 6) }), {
      module_id: "i-1234567890abcdef0-enc1234567890abcdef",
      digest: "SHA384",
      timestamp: 1_700_000_000_000,
      pcrs: new Map([[0, pcr]]),
      certificate: Uint8Array.of(1),
      cabundle: [Uint8Array.of(2), Uint8Array.of(3)],
      public_key: Uint8Array.of(4),
      user_data: undefined,
      nonce: Uint8Array.of(5, 6),
    });
  });

  it("is the same in any order of fields", () => {
    const turned = new Map([...fieldsWith()].reverse());
    assert.deepEqual(parseDocument(encodeCbor(turned)), parseWith({}));
  });

  it("is the same with an outer map of indefinite length", () => {
    const items = [...fieldsWith()].flat().map((item) => encodeCbor(item));
    const payload = Buffer.concat([Uint8Array.of(0xbf), ...items, Uint8Array.of(0xff)]);
    assert.deepEqual(parseDocument(new Uint8Array(payload)), parseWith({}));
  });

  it("shares no byte with the payload", () => {
    const fields = { user_data: Uint8Array.of(8), public_key: bytes(2), nonce: bytes(3) };
    const payload = encodeCbor(fieldsWith(fields));
    const document = parseDocument(payload);
    payload.fill(0xee);
    assert.deepEqual(document, parseWith(fields));
  });

  describe("accepts", () => {
    for (const [name, changes] of [
      [
        "optional fields that are absent",
        { public_key: undefined, user_data: undefined, nonce: undefined },
      ],
      [
        "optional fields of 0 bytes",
        { public_key: bytes(0), user_data: bytes(0), nonce: bytes(0) },
      ],
      [
        "optional fields of 1024 bytes",
        { public_key: bytes(1024), user_data: bytes(1024), nonce: bytes(1024) },
      ],
      ["17 registers", { pcrs: registers(17) }],
      ["32 registers", { pcrs: registers(32) }],
      [
        "registers with gaps",
        {
          pcrs: new Map([
            [31, pcr],
            [0, pcr],
            [8, pcr],
          ]),
        },
      ],
      ["a certificate of 1024 bytes", { certificate: bytes(1024) }],
      ["a cabundle of 8", { cabundle: Array.from({ length: 8 }, () => bytes(1)) }],
      ["a module_id of 256 characters", { module_id: "i".repeat(256) }],
      ["the first millisecond", { timestamp: 1 }],
      ["the last millisecond", { timestamp: BigInt(Number.MAX_SAFE_INTEGER) }],
    ] as const) {
      it(name, () => {
        parseWith(changes);
      });
    }
  });

  describe("refuses", () => {
    const refused: readonly (readonly [
      string,
      Readonly<Record<string, CborValue | undefined>>,
      RegExp,
    ])[] = [
      ...["module_id", "digest", "timestamp", "pcrs", "certificate", "cabundle"].flatMap(
        (field): [string, Record<string, CborValue | undefined>, RegExp][] => [
          [`no ${field}`, { [field]: undefined }, new RegExp(field)],
          [`${field} of null`, { [field]: null }, new RegExp(field)],
        ],
      ),
      ["a tenth field", { other: 1 }, /nine known keys/],
      ["a field in another case", { Nonce: null }, /nine known keys/],
      ["the field __proto__", { ["__proto__"]: null }, /nine known keys/],
      ["an empty module_id", { module_id: "" }, /module_id/],
      ["a module_id of 257 characters", { module_id: "i".repeat(257) }, /module_id/],
      ["a module_id of bytes", { module_id: bytes(39) }, /module_id/],
      ["digest SHA256", { digest: "SHA256" }, /digest/],
      ["digest sha384", { digest: "sha384" }, /digest/],
      ["digest with a NUL", { digest: "SHA384\0" }, /digest/],
      ["timestamp 0", { timestamp: 0 }, /timestamp/],
      ["a timestamp of text", { timestamp: "1700000000000" }, /timestamp/],
      ["a timestamp beyond 2^53", { timestamp: 2n ** 53n }, /2\^53/],
      ["a timestamp of 2^64 - 1", { timestamp: 2n ** 64n - 1n }, /2\^53/],
      ["pcrs as a list", { pcrs: [pcr] }, /pcrs/],
      ["no registers", { pcrs: new Map() }, /pcrs/],
      ["33 registers", { pcrs: registers(33) }, /pcrs/],
      [
        "register 32",
        {
          pcrs: new Map([
            [0, pcr],
            [32, pcr],
          ]),
        },
        /indices 0 to 31/,
      ],
      [
        "register 2^32",
        {
          pcrs: new Map<CborValue, CborValue>([
            [0, pcr],
            [2n ** 32n, pcr],
          ]) as never,
        },
        /indices/,
      ],
      [
        "a register of text",
        {
          pcrs: new Map<string | number, CborValue>([
            [0, pcr],
            ["1", pcr],
          ]),
        },
        /indices/,
      ],
      ["registers without PCR0", { pcrs: new Map([[1, pcr]]) }, /PCR0/],
      ...[0, 20, 32, 47, 49, 64].map((length): [string, Record<string, CborValue>, RegExp] => [
        `a register of ${length} bytes`,
        { pcrs: new Map([[0, bytes(length)]]) },
        new RegExp(`PCR0: expected 48 bytes, received ${length} bytes`),
      ]),
      ["a register of text value", { pcrs: new Map([[0, "7".repeat(48)]]) }, /PCR0/],
      ["an empty certificate", { certificate: bytes(0) }, /certificate: .* received 0 bytes/],
      ["a certificate of 1025 bytes", { certificate: bytes(1025) }, /received 1025 bytes/],
      ["a certificate of text", { certificate: "MIIC" }, /certificate/],
      ["an empty cabundle", { cabundle: [] }, /cabundle/],
      ["a cabundle of 9", { cabundle: Array.from({ length: 9 }, () => bytes(1)) }, /cabundle/],
      ["a cabundle that is a map", { cabundle: new Map([[0, bytes(1)]]) }, /cabundle/],
      ["an empty item in the cabundle", { cabundle: [bytes(1), bytes(0)] }, /cabundle\[1\]/],
      ["an item of 1025 bytes in the cabundle", { cabundle: [bytes(1025)] }, /cabundle\[0\]/],
      ["null in the cabundle", { cabundle: [null] }, /cabundle\[0\]/],
      ...["public_key", "user_data", "nonce"].flatMap(
        (field): [string, Record<string, CborValue>, RegExp][] => [
          [`a ${field} of 1025 bytes`, { [field]: bytes(1025) }, new RegExp(`${field}: .* 1025`)],
          [`a ${field} of text`, { [field]: "text" }, new RegExp(field)],
          [`a ${field} of integers`, { [field]: [1, 2] }, new RegExp(field)],
        ],
      ),
    ];
    for (const [name, changes, message] of refused) {
      it(name, () => {
        assert.throws(() => parseWith(changes), hasCode("malformed-evidence", message));
      });
    }

    it("a payload that is no map", () => {
      for (const value of [null, 1, "text", [fieldsWith()], encodeCbor(fieldsWith())]) {
        const payload = encodeCbor(value);
        assert.throws(() => parseDocument(payload), hasCode("malformed-evidence", /payload/));
      }
    });

    it("the registers of a NitroTPM, alone and beside an enclave's", () => {
      const nitrotpm_pcrs = registers(24);
      for (const pcrs of [undefined, registers(16)]) {
        assert.throws(() => parseWith({ pcrs, nitrotpm_pcrs }), hasCode("not-an-enclave"));
      }
    });
  });
});
