import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { decodeHex } from "../../attestation/bytes.ts";
import { decodeCbor } from "../../attestation/cbor.ts";
import { cborUint, type CborValue, encodeCbor } from "../../attestation/nsm/cbor.ts";
import { hasCode } from "../support/error-code.ts";

const shape = { code: "malformed-evidence" } as const;
const hex = (digits: string) => decodeHex(digits.replaceAll(" ", ""))!;

describe("strict CBOR", () => {
  const accepted: readonly (readonly [digits: string, value: unknown, name: string])[] = [
    ["00", 0, "zero"],
    ["17", 23, "the largest integer without a following byte"],
    ["18 18", 24, "the smallest integer of one byte"],
    ["19 0100", 256, "the smallest integer of two bytes"],
    ["1a 00010000", 65536, "the smallest integer of four bytes"],
    ["1b 0000000100000000", 2n ** 32n, "the smallest integer of eight bytes"],
    ["1b 001fffffffffffff", 2n ** 53n - 1n, "the largest integer that a double holds"],
    ["40", new Uint8Array(), "an empty byte string"],
    ["43 010203", Uint8Array.of(1, 2, 3), "a byte string"],
    ["60", "", "an empty text"],
    ["64 f0908591", "\u{10151}", "a text beyond the basic plane"],
    ["f6", null, "null"],
    ["82 00 81 81 00", [0, [[0]]], "arrays three deep"],
    ["a1 00 a1 00 a0", new Map([[0, new Map([[0, new Map()]])]]), "maps three deep"],
    [
      "a2 00 f6 61 61 40",
      new Map<unknown, unknown>([
        [0, null],
        ["a", new Uint8Array()],
      ]),
      "a map",
    ],
  ];
  for (const [digits, value, name] of accepted) {
    it(`decodes ${name}`, () => assert.deepEqual(decodeCbor(hex(digits), shape), value));
  }

  const refused: readonly (readonly [digits: string, message: RegExp, name: string])[] = [
    ["", /received the end/, "nothing"],
    ["00 00", /1 more bytes/, "a second item"],
    ["20", /negative integer/, "a negative integer"],
    ["18 17", /shortest form/, "an integer in one byte too many"],
    ["19 00ff", /shortest form/, "an integer in two bytes where one would do"],
    ["1a 0000ffff", /shortest form/, "an integer in four bytes where two would do"],
    ["1b 00000000ffffffff", /shortest form/, "an integer in eight bytes where four would do"],
    ["1b 0020000000000000", /beyond 2\^53/, "an integer that a double does not hold"],
    ["1b ffffffffffffffff", /beyond 2\^53/, "the largest integer"],
    ["1c", /information 28/, "additional information 28"],
    ["1e", /information 30/, "additional information 30"],
    ["1f", /information 31/, "an integer of indefinite length"],
    ["18", /received the end/, "an integer that is cut short"],
    ["42 00", /length of 2/, "a byte string that is cut short"],
    ["58 01 00", /shortest form/, "a byte string with a long length"],
    ["5b 7fffffffffffffff", /beyond 2\^53/, "a byte string of 2^63 - 1 bytes"],
    ["5b 001fffffffffffff", /length of/, "a byte string of 2^53 - 1 bytes"],
    ["5f 41 00 ff", /indefinite/, "a byte string in chunks"],
    ["7f 61 61 ff", /indefinite/, "a text in chunks"],
    ["61 ff", /UTF-8/, "a text with a byte that is not UTF-8"],
    ["62 c080", /UTF-8/, "a text with an overlong zero"],
    ["63 eda080", /UTF-8/, "a text with half of a surrogate pair"],
    ["9f ff", /indefinite/, "an array of indefinite length"],
    ["bf ff", /indefinite/, "a map of indefinite length where the shape has none"],
    ["82 41 00", /received the end/, "an array with an item too few"],
    ["9b 001fffffffffffff", /count of/, "an array of 2^53 - 1 items"],
    ["bb 001fffffffffffff", /count of/, "a map of 2^53 - 1 entries"],
    ["82 f6", /count of 2 items, only 1 bytes/, "an array whose count exceeds the bytes"],
    ["a2 00 00 00", /count of 4 items, only 3 bytes/, "a map whose count exceeds the bytes"],
    ["81 81 81 81 00", /more than 3 deep/, "arrays four deep"],
    ["a1 00 a1 00 a1 00 a0", /more than 3 deep/, "maps four deep"],
    ["a2 00 00 00 01", /there before/, "an integer key twice"],
    ["a2 00 00 18 00 01", /shortest form/, "an integer key twice in two forms"],
    ["a2 61 61 00 61 61 00", /there before/, "a text key twice"],
    ["81 a2 00 00 00 00", /there before/, "a key twice in a map inside"],
    ["a1 40 00", /neither text nor integer/, "a byte string as key"],
    ["a1 f6 00", /neither text nor integer/, "null as key"],
    ["a1 20 00", /neither text nor integer/, "a negative key"],
    ["c0 60", /tag/, "a date"],
    ["df 00", /information 31/, "a tag of indefinite length"],
    ["c2 41 01", /tag/, "a bignum"],
    ["d9 d9f7 00", /tag/, "the tag that says CBOR"],
    ["d9 dfff 00", /tag/, "a record of the decoder's own"],
    ["f4", /simple value/, "false where the shape has none"],
    ["f7", /simple value/, "undefined"],
    ["e0", /simple value/, "simple value 0"],
    ["f8 20", /simple value/, "simple value 32"],
    ["f9 3c00", /float/, "a half float"],
    ["fa 3f800000", /float/, "a float"],
    ["fb 3ff0000000000000", /float/, "a double"],
    ["ff", /break/, "a break"],
  ];
  for (const [digits, message, name] of refused) {
    it(`refuses ${name}`, () => {
      assert.throws(() => decodeCbor(hex(digits), shape), hasCode("malformed-evidence", message));
    });
  }

  it("lets a key of text and one of an integer with the same digits be", () => {
    assert.equal((decodeCbor(hex("a2 01 00 61 31 00"), shape) as Map<unknown, unknown>).size, 2);
  });

  describe("with an outer map of indefinite length allowed", () => {
    const outer = { ...shape, indefiniteOuterMap: true };
    it("decodes it", () => {
      assert.deepEqual(decodeCbor(hex("bf 00 01 ff"), outer), new Map([[0, 1]]));
      assert.deepEqual(decodeCbor(hex("bf ff"), outer), new Map());
    });
    for (const [digits, message] of [
      ["bf 00 01", /received the end/],
      ["bf 00 ff", /break/],
      ["bf 00 01 00 01 ff", /there before/],
      ["bf 00 bf ff ff", /indefinite/],
      ["81 bf ff", /indefinite/],
      ["9f ff", /indefinite/],
    ] as const) {
      it(`refuses ${digits}`, () => {
        assert.throws(() => decodeCbor(hex(digits), outer), hasCode("malformed-evidence", message));
      });
    }
  });

  it("decodes booleans where the shape has them", () => {
    const booleans = { ...shape, booleans: true };
    assert.deepEqual(decodeCbor(hex("82 f4 f5"), booleans), [false, true]);
    for (const digits of ["f7", "e0", "f8 20", "f9 3c00", "ff"]) {
      assert.throws(() => decodeCbor(hex(digits), booleans), hasCode("malformed-evidence"));
    }
  });

  it("gives the code that the shape names", () => {
    assert.throws(
      () => decodeCbor(hex("ff"), { code: "nsm-unavailable" }),
      hasCode("nsm-unavailable"),
    );
  });

  it("does not overflow the stack on 20,000 arrays inside each other", () => {
    const deep = new Uint8Array(20_000).fill(0x81);
    assert.throws(() => decodeCbor(deep, shape), hasCode("malformed-evidence", /deep/));
  });

  const numRuns = Number(process.env["FUZZ_RUNS"] ?? 100);

  it("decodes whatever the encoder writes within the shape", () => {
    const scalar = fc.oneof(
      fc.maxSafeNat().map((value): CborValue => cborUint(value)),
      fc.string({ unit: "grapheme" }),
      fc.uint8Array(),
      fc.constant(null),
    );
    const array = fc.array(scalar, { maxLength: 30 });
    const map = fc.uniqueArray(fc.tuple(fc.oneof(fc.nat(), fc.string()), scalar), {
      selector: ([key]) => key,
    });
    const value = fc.oneof(
      scalar,
      array,
      map.map((entries): CborValue => new Map(entries)),
    );
    fc.assert(
      fc.property(fc.array(value), (items) => {
        assert.deepEqual(decodeCbor(encodeCbor(items), shape), items);
      }),
      { numRuns },
    );
  });

  it("decodes or refuses any bytes, and nothing else happens", () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 64 }),
      // Mostly heads: reaches deeper than uniform bytes do.
      fc.array(fc.constantFrom(0, 1, 0x18, 0x41, 0x61, 0x81, 0x82, 0xa1, 0xa2, 0xbf, 0xf6, 0xff)),
    );
    fc.assert(
      fc.property(bytes, (input) => {
        try {
          decodeCbor(Uint8Array.from(input), { ...shape, indefiniteOuterMap: true });
        } catch (error) {
          hasCode("malformed-evidence")(error);
        }
      }),
      { numRuns: 10 * numRuns },
    );
  });
});
