import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { nodeBackend } from "../../crypto/node.ts";
import { portableBackend } from "../../crypto/portable.ts";
import { ChannelError } from "../../channel/errors.ts";
import { isChannelError } from "../support/channel-error.ts";
import { trafficKey } from "../../channel/key-schedule.ts";
import { giveArray } from "../../channel/record-array.ts";
import { MAX_PLAINTEXT_BYTES, paddedLength, type Padding } from "../../channel/padding.ts";
import {
  MAX_CONTENT_BYTES,
  MAX_RECORD_BYTES,
  Opener,
  Sealer,
  type RecordType,
} from "../../channel/record.ts";
import { SUITE_IDS, type SuiteId } from "../../channel/suite.ts";

const numRuns = Number(process.env.FUZZ_RUNS ?? 100);
const secretOf = (fill: number): Uint8Array => new Uint8Array(32).fill(fill);
const start = {
  backend: nodeBackend,
  suite: 1 as SuiteId,
  padding: "none" as Padding,
  nowMs: 0,
};

/** Both ends of one direction. */
function direction(
  options: Partial<typeof start> & { keyLimitBytes?: number; keyLimitMs?: number },
): {
  sealer: Sealer;
  opener: Opener;
} {
  return {
    sealer: new Sealer({ ...start, ...options, secret: secretOf(7) }),
    opener: new Opener({ ...start, ...options, secret: secretOf(7) }),
  };
}

/** Seals a plaintext of any form under the first key, as only a broken peer would. */
function forge(plaintext: Uint8Array): Uint8Array {
  const { aead, iv } = trafficKey(nodeBackend, 1, secretOf(7));
  const record = new Uint8Array(plaintext.length + 16);
  aead.seal(iv, plaintext, record);
  return record;
}

const anyPadding: fc.Arbitrary<Padding> = fc.oneof(
  fc.constant("none" as const),
  fc.constant("padme" as const),
  fc.integer({ min: 1, max: MAX_PLAINTEXT_BYTES }).map((bucket) => ({ bucket })),
);
const anyType = fc.constantFrom<RecordType>("frames", "key-update");

describe("records", () => {
  for (const backend of [nodeBackend, portableBackend]) {
    for (const suite of SUITE_IDS) {
      it(`open what was sealed, in order: suite ${suite}, ${backend.name}`, () => {
        const contents = fc.array(fc.tuple(anyType, fc.uint8Array({ maxLength: 600 })), {
          maxLength: 6,
        });
        fc.assert(
          fc.property(contents, anyPadding, fc.nat(20), (row, padding, headroom) => {
            const small = padding === "none" || padding === "padme" ? padding : { bucket: 64 };
            const { sealer, opener } = direction({ backend, suite, padding: small });
            for (const [type, content] of row) {
              const record = sealer.seal(type, content, headroom);
              assert.deepEqual(opener.open(record.subarray(headroom), 0), { type, content });
            }
          }),
          { numRuns: Math.min(numRuns, backend === nodeBackend ? Infinity : 30) },
        );
      });

      it(`do not open with any bit flipped: suite ${suite}, ${backend.name}`, () => {
        const { sealer } = direction({ backend, suite });
        const record = sealer.seal("frames", Uint8Array.of(1, 2, 3, 0, 5));
        for (let bit = 0; bit < record.length * 8; bit++) {
          const flipped = record.slice();
          flipped[bit >> 3]! ^= 1 << (bit & 7);
          const { opener } = direction({ backend, suite });
          assert.throws(() => opener.open(flipped, 0), isChannelError("authentication-failed"));
        }
      });
    }
  }

  it("do not open truncated at any byte", () => {
    const record = direction({}).sealer.seal("frames", new Uint8Array(40).fill(9));
    for (let length = 0; length < record.length; length++) {
      const { opener } = direction({});
      assert.throws(
        () => opener.open(record.subarray(0, length), 0),
        isChannelError("authentication-failed"),
      );
    }
  });

  it("do not open when one was dropped, repeated or swapped", () => {
    const { sealer } = direction({});
    const [a, b] = [1, 2].map((byte) => sealer.seal("frames", Uint8Array.of(byte)));
    for (const row of [[b], [a, a], [b, a]]) {
      const { opener } = direction({});
      assert.throws(() => {
        for (const record of row) opener.open(record!, 0);
      }, isChannelError("authentication-failed"));
    }
  });

  it("kill the direction with the first that does not open", () => {
    const { sealer, opener } = direction({});
    const record = sealer.seal("frames", new Uint8Array(3));
    assert.throws(
      () => opener.open(new Uint8Array(30), 0),
      isChannelError("authentication-failed"),
    );
    assert.throws(() => opener.open(record, 0), isChannelError("authentication-failed"));
  });

  it("start behind the headroom asked for", () => {
    const { sealer, opener } = direction({});
    const record = sealer.seal("frames", Uint8Array.of(1), 9);
    assert.deepEqual(opener.open(record.subarray(9), 0).content, Uint8Array.of(1));
  });

  it("hold the content alone, whatever lies behind it where it was filled in", () => {
    const { sealer, opener } = direction({});
    const plaintext = new Uint8Array(MAX_PLAINTEXT_BYTES).fill(9).fill(4, 0, 3);
    const record = sealer.sealFilled("frames", plaintext, 3, 2);
    assert.deepEqual(opener.open(record.subarray(2), 0).content, Uint8Array.of(4, 4, 4));
  });

  it("may serve for other records once it is given back", () => {
    const { sealer, opener } = direction({});
    for (const bytes of [0, 100, 1_000, 5_000, 20_000, 200_000]) {
      const content = new Uint8Array(bytes).fill(6);
      for (let i = 0; i < 40; i++) {
        const record = sealer.seal("frames", content, 9);
        assert.deepEqual(opener.open(record.subarray(9), 0).content, content);
        giveArray(record);
      }
      const [one, other] = [sealer.seal("frames", content), sealer.seal("frames", content)];
      assert.notEqual(one.buffer, other.buffer);
      assert.deepEqual(opener.open(one, 0).content, content);
      assert.deepEqual(opener.open(other, 0).content, content);
    }
  });

  it("take over their secret", () => {
    const secret = secretOf(1);
    new Sealer({ ...start, secret }).destroy();
    assert.deepEqual(secret, new Uint8Array(32));
  });

  it("follow no end and no alert", () => {
    for (const [type, content] of [
      ["end", new Uint8Array(0)],
      ["alert", Uint8Array.of(0, 1)],
    ] as const) {
      const { sealer, opener } = direction({});
      assert.equal(opener.open(sealer.seal(type, content), 0).type, type);
      assert.throws(() => sealer.seal("frames", content), TypeError);
      assert.throws(() => opener.open(new Uint8Array(30), 0), isChannelError("malformed-record"));
    }
  });

  it("are not sealed nor opened after destroy()", () => {
    const { sealer, opener } = direction({});
    const record = sealer.seal("frames", new Uint8Array(0));
    sealer.destroy();
    opener.destroy();
    assert.throws(() => sealer.seal("frames", new Uint8Array(0)), TypeError);
    assert.throws(() => opener.open(record, 0), ChannelError);
  });

  describe("from a broken peer", () => {
    const cases: readonly [string, Uint8Array][] = [
      ["zeros only", new Uint8Array(300)],
      ["type 5", Uint8Array.of(9, 9, 5)],
      ["type 255", Uint8Array.of(255)],
      ["an alert of no byte", Uint8Array.of(4)],
      ["an alert of one byte", Uint8Array.of(1, 4)],
      ["an alert of three bytes", Uint8Array.of(0, 0, 1, 4, 0)],
    ];
    for (const [name, plaintext] of cases) {
      it(`are refused: ${name}`, () => {
        assert.throws(
          () => direction({}).opener.open(forge(plaintext), 0),
          isChannelError("malformed-record"),
        );
      });
    }

    it("are refused: no byte, not even a type", () => {
      const record = forge(new Uint8Array(0));
      assert.throws(
        () => direction({}).opener.open(record, 0),
        isChannelError("authentication-failed"),
      );
    });

    it("are refused one byte beyond the limit, and accepted at it", () => {
      const largest = forge(new Uint8Array(MAX_PLAINTEXT_BYTES).fill(1));
      assert.equal(largest.length, MAX_RECORD_BYTES);
      assert.equal(direction({}).opener.open(largest, 0).content.length, MAX_CONTENT_BYTES);
      const larger = forge(new Uint8Array(MAX_PLAINTEXT_BYTES + 1).fill(1));
      assert.throws(() => direction({}).opener.open(larger, 0), isChannelError("record-too-large"));
    });
  });
});

describe("padding", () => {
  it("follows the table of Padmé", () => {
    const table: readonly [number, number][] = [
      [1, 256],
      [256, 256],
      [257, 272],
      [272, 272],
      [273, 288],
      [1000, 1024],
      [1025, 1088],
      [65_535, 65_536],
      [65_537, 67_584],
      [262_143, 262_144],
      [262_144, 262_144],
    ];
    for (const [length, padded] of table) assert.equal(paddedLength("padme", length), padded);
  });

  it("never shortens, never passes the limit, and costs padme at most 6.25 %", () => {
    const length = fc.integer({ min: 1, max: MAX_PLAINTEXT_BYTES });
    fc.assert(
      fc.property(length, anyPadding, (bytes, padding) => {
        const padded = paddedLength(padding, bytes);
        assert.ok(padded >= bytes && padded <= MAX_PLAINTEXT_BYTES);
        if (padding === "none") assert.equal(padded, bytes);
        else if (padding === "padme") assert.ok(padded <= Math.max(256, bytes * 1.0625));
        else assert.ok(padded % padding.bucket === 0 || padded === MAX_PLAINTEXT_BYTES);
      }),
      { numRuns },
    );
  });

  it("fits the largest content into one record, whatever the padding", () => {
    for (const padding of ["none", "padme", { bucket: 100_000 }] as const) {
      const { sealer, opener } = direction({ padding });
      const record = sealer.seal("frames", new Uint8Array(MAX_CONTENT_BYTES).fill(3));
      assert.equal(record.length, MAX_RECORD_BYTES);
      assert.equal(opener.open(record, 0).content.length, MAX_CONTENT_BYTES);
      assert.throws(() => sealer.seal("frames", new Uint8Array(MAX_CONTENT_BYTES + 1)), RangeError);
    }
  });

  it("refuses a bucket that is none, when the sealer is made", () => {
    for (const bucket of [0, -1, 1.5, Number.NaN, MAX_PLAINTEXT_BYTES + 1]) {
      assert.throws(() => direction({ padding: { bucket } }), RangeError);
    }
  });
});

describe("the key of a direction", () => {
  // An empty record costs 16 · (ceil(1 / 16) + 1) = 32.
  const empty = new Uint8Array(0);

  it("is due for a change at its bytes, the tag's block counted", () => {
    const { sealer } = direction({ keyLimitBytes: 64 });
    sealer.seal("frames", empty);
    assert.ok(!sealer.keyUpdateDue(0));
    sealer.seal("frames", empty);
    assert.ok(sealer.keyUpdateDue(0));
  });

  it("counts padding, not content", () => {
    const { sealer } = direction({ keyLimitBytes: 256 + 16, padding: "padme" });
    sealer.seal("frames", empty);
    assert.ok(sealer.keyUpdateDue(0));
  });

  it("is due for a change at its age", () => {
    const { sealer } = direction({ nowMs: 1000, keyLimitMs: 500 });
    assert.equal(sealer.keyUpdateAtMs, 1500);
    assert.ok(!sealer.keyUpdateDue(1499));
    assert.ok(sealer.keyUpdateDue(1500));
  });

  it("is young again after a key update", () => {
    const { sealer } = direction({ keyLimitBytes: 64, keyLimitMs: 500 });
    sealer.seal("frames", empty);
    assert.ok(sealer.keyUpdateDue(500));
    sealer.seal("key-update", empty);
    assert.equal(sealer.keyUpdateAtMs, 1000);
    assert.ok(!sealer.keyUpdateDue(999));
    sealer.seal("frames", empty);
    assert.ok(!sealer.keyUpdateDue(999));
  });

  it("ends the receiving side at twice its age", () => {
    const { sealer, opener } = direction({ keyLimitMs: 500 });
    const [a, b] = [sealer.seal("frames", empty), sealer.seal("frames", empty)];
    opener.open(a, 999);
    assert.throws(() => opener.open(b, 1000), isChannelError("key-limit"));
  });

  it("ends the receiving side at twice its bytes", () => {
    const { opener } = direction({ keyLimitBytes: 64 });
    const sealer = direction({}).sealer;
    for (let i = 0; i < 3; i++) opener.open(sealer.seal("frames", empty), 0);
    assert.throws(() => opener.open(sealer.seal("frames", empty), 0), isChannelError("key-limit"));
  });

  it("is counted anew by the receiving side after a key update", () => {
    const { sealer, opener } = direction({ keyLimitBytes: 64, keyLimitMs: 500 });
    for (let round = 1; round < 4; round++) {
      opener.open(sealer.seal("frames", empty), round * 900);
      sealer.keyUpdateDue(round * 900);
      opener.open(sealer.seal("key-update", empty), round * 900);
    }
  });

  it("seals nothing once the update was missed for as long again", () => {
    const bytes = direction({ keyLimitBytes: 64 }).sealer;
    for (let i = 0; i < 3; i++) bytes.seal("frames", empty);
    assert.throws(() => bytes.seal("frames", empty), isChannelError("key-limit"));
    const age = direction({ keyLimitMs: 500 }).sealer;
    age.keyUpdateDue(1000);
    assert.throws(() => age.seal("key-update", empty), isChannelError("key-limit"));
  });

  it("changes with each key update, and the counter starts again", () => {
    const { sealer } = direction({});
    const sealed = [1, 2, 3].map(() => sealer.seal("key-update", empty).join());
    assert.equal(new Set(sealed).size, 3);
    const twin = direction({}).sealer;
    assert.equal(twin.seal("key-update", empty).join(), sealed[0]);
  });

  it("has limits of 1 GiB and 10 minutes unless told otherwise", () => {
    const { sealer } = direction({ nowMs: 5 });
    assert.equal(sealer.keyUpdateAtMs, 600_005);
    const content = new Uint8Array(MAX_CONTENT_BYTES);
    const plaintext = new Uint8Array(MAX_PLAINTEXT_BYTES);
    const records = Math.ceil(2 ** 30 / (MAX_PLAINTEXT_BYTES + 16));
    for (let i = 1; i < records; i++) {
      giveArray(sealer.sealFilled("frames", plaintext, content.length, 0));
      if (i === 1 || i === records - 1) assert.ok(!sealer.keyUpdateDue(5));
    }
    sealer.seal("frames", content);
    assert.ok(sealer.keyUpdateDue(5));
  });
});
