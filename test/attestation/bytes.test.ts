import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  decodeHex,
  encodeHex,
  equalBytes,
  excerptHex,
  excerptText,
  isAllZero,
} from "../../attestation/bytes.ts";

describe("bytes", () => {
  it("are equal in length and in each byte", () => {
    assert.ok(equalBytes(Uint8Array.of(1, 2), Uint8Array.of(1, 2)));
    assert.ok(equalBytes(Uint8Array.of(), Uint8Array.of()));
    for (const other of [[], [1], [1, 3], [2, 2], [1, 2, 0]]) {
      assert.ok(!equalBytes(Uint8Array.of(1, 2), Uint8Array.from(other)));
    }
  });

  it("are all zero or not", () => {
    assert.ok(isAllZero(new Uint8Array(3)));
    assert.ok(!isAllZero(Uint8Array.of(0, 0, 1)));
  });

  it("go to hexadecimal digits and back", () => {
    const all = Uint8Array.from({ length: 256 }, (_, i) => 255 - i);
    assert.equal(encodeHex(all), Buffer.from(all).toString("hex"));
    assert.deepEqual(decodeHex(encodeHex(all)), all);
    assert.deepEqual(decodeHex(encodeHex(all).toUpperCase()), all);
    for (const text of ["0", "0g", "0x00", " 00", "00 "]) assert.equal(decodeHex(text), undefined);
  });

  it("are shown whole up to 64, and longer ones by their beginning", () => {
    assert.equal(excerptHex(undefined), "none");
    assert.equal(excerptHex(new Uint8Array()), "0 bytes");
    assert.equal(excerptHex(new Uint8Array(64).fill(0xab)), "ab".repeat(64));
    assert.equal(excerptHex(new Uint8Array(65).fill(0xab)), `${"ab".repeat(32)}… (65 bytes)`);
  });
});

describe("text of strangers", () => {
  it("is quoted in ASCII, at most 64 characters of it", () => {
    assert.equal(excerptText('a"\n'), String.raw`"a\"\n"`);
    assert.equal(excerptText("\u009b\u202eé"), String.raw`"\u009b\u202e\u00e9"`);
    assert.equal(excerptText("x".repeat(65)), `"${"x".repeat(64)}"`);
  });
});
