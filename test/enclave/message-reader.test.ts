import assert from "node:assert/strict";
import { describe, it } from "node:test";

import fc from "fast-check";

import { ChannelError } from "../../channel/errors.ts";
import { MessageReader } from "../../services/enclave/message-reader.ts";
import { copiedBytes } from "../support/copied-bytes.ts";

const RUNS = { numRuns: Number(process.env["FUZZ_RUNS"] ?? 100) };

function framed(message: Uint8Array, flag = 0): Buffer {
  const bytes = Buffer.alloc(5 + message.length, message.length);
  bytes[0] = flag;
  bytes.writeUInt32BE(message.length, 1);
  bytes.set(message, 5);
  return bytes;
}

function read(chunks: readonly Uint8Array[], maxBytes = 1000): Buffer[] {
  const reader = new MessageReader(maxBytes);
  const messages: Buffer[] = [];
  for (const chunk of chunks) reader.read(chunk, (message) => messages.push(Buffer.from(message)));
  return messages;
}

const code =
  (expected: string) =>
  (error: unknown): boolean =>
    error instanceof ChannelError && error.code === expected;

describe("the reader of outer messages", () => {
  it("reads the same messages however the bytes are split", () => {
    const messages = fc.array(fc.uint8Array({ minLength: 1, maxLength: 40 }), { maxLength: 8 });
    fc.assert(
      fc.property(messages, fc.array(fc.nat(400)), (expected, cuts) => {
        const bytes = Buffer.concat(expected.map((message) => framed(message)));
        const at = [0, ...cuts.map((cut) => Math.min(cut, bytes.length)), bytes.length].sort(
          (a, b) => a - b,
        );
        const chunks = at.slice(1).map((end, i) => bytes.subarray(at[i], end));
        assert.deepEqual(
          read(chunks),
          expected.map((message) => Buffer.from(message)),
        );
      }),
      RUNS,
    );
  });

  it("reads a message of which each byte comes by itself", () => {
    const message = Uint8Array.from({ length: 500 }, (_, i) => i % 251);
    const chunks = Array.from(framed(message), (byte) => Uint8Array.of(byte));
    assert.deepEqual(read(chunks), [Buffer.from(message)]);
  });

  it("copies a byte of a message twice at most, also when each comes by itself", (context) => {
    const bytes = framed(new Uint8Array(100_000));
    const reader = new MessageReader(bytes.length);
    let messages = 0;
    const copied = copiedBytes(context);
    for (let at = 0; at < bytes.length; at++) {
      reader.read(bytes.subarray(at, at + 1), () => (messages += 1));
    }
    assert.equal(messages, 1);
    assert.ok(copied() <= 2 * bytes.length, `${copied()} for ${bytes.length}`);
  });

  it("gives a message that lies in one chunk as a view of it", () => {
    const chunk = framed(Buffer.from("message"));
    const reader = new MessageReader(100);
    let taken: Uint8Array | undefined;
    reader.read(chunk, (message) => (taken = message));
    assert.equal(taken?.buffer, chunk.buffer);
  });

  it("takes a message of exactly the limit and refuses one beyond, at its prefix", () => {
    assert.equal(read([framed(new Uint8Array(10))], 10).length, 1);
    const longer = framed(new Uint8Array(11)).subarray(0, 5);
    assert.throws(() => read([longer], 10), code("record-too-large"));
  });

  it("refuses a length beyond 2^31 as too large", () => {
    assert.throws(() => read([Buffer.from([0, 255, 255, 255, 255])]), code("record-too-large"));
  });

  it("refuses a compressed message and an empty one", () => {
    assert.throws(() => read([framed(Buffer.from("x"), 1)]), code("malformed-record"));
    assert.throws(() => read([framed(new Uint8Array(0))]), code("malformed-record"));
  });

  it("applies a limit that was raised to the next message of the same chunk", () => {
    const reader = new MessageReader(5);
    const chunk = Buffer.concat([framed(new Uint8Array(5)), framed(new Uint8Array(50))]);
    const lengths: number[] = [];
    reader.read(chunk, (message) => {
      lengths.push(message.length);
      reader.maxBytes = 50;
    });
    assert.deepEqual(lengths, [5, 50]);
  });

  it("never throws anything else, and ends, on any bytes", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 64 })), (chunks) => {
        try {
          read(chunks);
        } catch (error) {
          assert.ok(error instanceof ChannelError);
        }
      }),
      RUNS,
    );
  });
});
