import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { Metadata } from "@grpc/grpc-js";
import fc from "fast-check";

import type { Entry } from "../../channel/call-message.ts";
import { ChannelError } from "../../channel/errors.ts";
import { entriesOf, metadataOf } from "../../services/grpc/metadata.ts";

const RUNS = { numRuns: Number(process.env["FUZZ_RUNS"] ?? 100) };
const text = (key: string, value: string): Entry => ({ key, value: Buffer.from(value) });
const malformed = (error: unknown): boolean =>
  error instanceof ChannelError && error.code === "malformed-frame";

const RESERVED = [
  "grpc-timeout",
  "grpc-encoding",
  "grpc-accept-encoding",
  "grpc-status",
  "grpc-message",
  "accept-encoding",
  "te",
  "content-type",
  "sealrpc-outcome",
];

describe("entries of metadata", () => {
  it("are none for empty metadata", () => {
    assert.deepEqual(entriesOf(new Metadata()), []);
  });

  it("hold each value of a repeated key, in order, and raw bytes of -bin keys", () => {
    const metadata = new Metadata();
    metadata.add("x-text", "1");
    metadata.add("x-text", "2");
    metadata.add("x-raw-bin", Buffer.from([0, 255, 1]));
    assert.deepEqual(entriesOf(metadata), [
      text("x-text", "1"),
      text("x-text", "2"),
      { key: "x-raw-bin", value: Buffer.from([0, 255, 1]) },
    ]);
  });

  for (const key of [...RESERVED, ":path"]) {
    it(`leave out ${key}`, () => {
      const metadata = new Metadata();
      metadata.add(key, "x");
      metadata.add("kept", "y");
      assert.deepEqual(entriesOf(metadata), [text("kept", "y")]);
    });
  }

  it("refuse the key __proto__, which metadata cannot list", () => {
    const metadata = new Metadata();
    metadata.add("__proto__", "x");
    assert.throws(() => entriesOf(metadata), TypeError);
  });
});

describe("metadata of a peer's entries", () => {
  it("has each value of a repeated key, and buffers for -bin keys", () => {
    const metadata = metadataOf([
      text("x-text", "1"),
      { key: "x-raw-bin", value: new Uint8Array([0, 255, 1]) },
      text("x-text", "2"),
    ]);
    assert.deepEqual(metadata.get("x-text"), ["1", "2"]);
    assert.deepEqual(metadata.get("x-raw-bin"), [Buffer.from([0, 255, 1])]);
  });

  it("copies bytes, so that it does not hold the record", () => {
    const value = new Uint8Array([1, 2]);
    const metadata = metadataOf([{ key: "x-bin", value }]);
    value.fill(9);
    assert.deepEqual(metadata.get("x-bin"), [Buffer.from([1, 2])]);
  });

  for (const key of RESERVED) {
    it(`drops ${key}`, () => {
      assert.deepEqual(metadataOf([text(key, "x")]).toJSON(), {});
    });
  }

  for (const key of ["", "Upper", "sp ace", ":path", "é", "__proto__"]) {
    it(`refuses the key ${JSON.stringify(key)}`, () => {
      assert.throws(() => metadataOf([text(key, "x")]), malformed);
    });
  }

  for (const value of ["é", "a\nb", "\0", "\u007f", "\ufeffa"]) {
    it(`refuses the text ${JSON.stringify(value)}`, () => {
      assert.throws(() => metadataOf([text("key", value)]), malformed);
    });
  }

  it("refuses any byte that is not printable ASCII, wherever it stands", () => {
    const byte = fc.oneof(fc.integer({ min: 0x80, max: 0xff }), fc.constantFrom(0x1f, 0x7f));
    const bytes = fc.uint8Array({ maxLength: 4 });
    fc.assert(
      fc.property(bytes, byte, bytes, (before, illegal, after) => {
        const value = Uint8Array.of(...before, illegal, ...after);
        assert.throws(() => metadataOf([{ key: "key", value }]), malformed);
      }),
    );
  });

  it("is what was sent, for all legal keys and values", () => {
    const key = fc.stringMatching(/^x[0-9a-z_.-]{0,12}$/).map((name) => name.replace(/-bin$/, ""));
    const ascii = fc.record({ key, value: fc.stringMatching(/^[ -~]{0,20}$/) });
    const binary = fc.record({ key: key.map((name) => `${name}-bin`), value: fc.uint8Array() });
    fc.assert(
      fc.property(fc.array(fc.oneof(ascii, binary)), (pairs) => {
        const metadata = new Metadata();
        for (const { key, value } of pairs) {
          metadata.add(key, typeof value === "string" ? value : Buffer.from(value));
        }
        assert.deepEqual(metadataOf(entriesOf(metadata)).toJSON(), metadata.toJSON());
      }),
      RUNS,
    );
  });
});
