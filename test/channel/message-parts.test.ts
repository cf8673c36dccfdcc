import assert from "node:assert/strict";
import { describe, it } from "node:test";

import fc from "fast-check";

import { MessageParts } from "../../channel/message-parts.ts";
import { copiedBytes } from "../support/copied-bytes.ts";

const RUNS = { numRuns: Number(process.env["FUZZ_RUNS"] ?? 100) };
/** What Node reads from a socket at once. */
const READ_BYTES = 65_536;

function sequence(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => index % 251);
}

/** Adds parts of these lengths, all of one message but its last byte. */
function gather(lengths: readonly number[]): { parts: MessageParts; expected: Uint8Array } {
  const expected = sequence(lengths.reduce((sum, length) => sum + length, 0));
  const parts = new MessageParts();
  let at = 0;
  for (const length of lengths) {
    const read = new Uint8Array(Math.max(length, READ_BYTES));
    read.set(expected.subarray(at, at + length));
    at += length;
    parts.add(read.subarray(0, length), expected.length + 1 - at);
  }
  return { parts, expected };
}

/** The memory of all arrays that were kept until now. */
function keptBytes(parts: MessageParts): number {
  const buffers = new Set<ArrayBufferLike>();
  const target = new Uint8Array(parts.length);
  target.set = (part: Uint8Array) => buffers.add(part.buffer);
  parts.moveTo(target);
  return [...buffers].reduce((sum, buffer) => sum + buffer.byteLength, 0);
}

describe("MessageParts", () => {
  it("gives the bytes of parts of any length in order, and forgets them", () => {
    const length = fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 20_000 }));
    fc.assert(
      fc.property(fc.array(length, { maxLength: 12 }), (lengths) => {
        const { parts, expected } = gather(lengths);
        assert.equal(parts.length, expected.length);
        const target = new Uint8Array(expected.length);
        parts.moveTo(target);
        assert.deepEqual(target, expected);
        assert.equal(parts.length, 0);
      }),
      RUNS,
    );
  });

  it("copies a byte twice at most, however small the parts are", (context) => {
    const { parts, expected } = gather(Array<number>(200).fill(1));
    const more = sequence(100_000);
    const copied = copiedBytes(context);
    for (let at = 0; at < more.length; at++) {
      parts.add(more.subarray(at, at + 1), more.length - at);
    }
    const length = expected.length + more.length;
    parts.moveTo(new Uint8Array(length));
    assert.ok(copied() <= 2 * length, `${copied()} for ${length}`);
  });

  it("keeps nothing that was read with small parts", () => {
    for (const length of [1, 100, 8191]) {
      const { parts, expected } = gather(Array<number>(50).fill(length));
      const kept = keptBytes(parts);
      assert.ok(kept <= expected.length + 8192, `${kept} for ${expected.length}`);
    }
  });

  it("does not copy large parts", (context) => {
    const part = sequence(8192);
    const parts = new MessageParts();
    const copied = copiedBytes(context);
    for (let count = 9; count >= 0; count--) parts.add(part, 1 + count * part.length);
    assert.equal(copied(), 0);
  });

  it("takes no more memory for the start of a short message than the message has", () => {
    const parts = new MessageParts();
    parts.add(new Uint8Array(1), 99);
    assert.equal(keptBytes(parts), 100);
  });
});
