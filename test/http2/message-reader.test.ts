import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { describe, it } from "node:test";
import { status as Code } from "@grpc/grpc-js";
import fc from "fast-check";
import { ByteBudget } from "../../services/http2/byte-budget.ts";
import { MessageReader } from "../../services/http2/message-reader.ts";
import { copiedBytes } from "../support/copied-bytes.ts";
import { framed } from "../support/framed.ts";

const RUNS = { numRuns: Number(process.env["FUZZ_RUNS"] ?? 100) };

interface Reading {
  readonly reader: MessageReader;
  readonly stream: PassThrough;
  readonly messages: { readonly hex: string; readonly compressed: boolean }[];
  readonly broken: { code: Code; details: string }[];
  /** While there are any, the sink has no room. */
  readonly untaken: (() => void)[];
}

function reading({ maxBytes = -1, budget = new ByteBudget(1 << 20), holds = false } = {}): Reading {
  const messages: Reading["messages"] = [];
  const broken: Reading["broken"] = [];
  const untaken: Reading["untaken"] = [];
  const stream = new PassThrough().resume();
  const reader = new MessageReader(stream, maxBytes, budget, {
    takeMessage: (message, compressed, onTaken) => {
      messages.push({ hex: Buffer.from(message).toString("hex"), compressed });
      if (holds) untaken.push(onTaken);
      else onTaken();
    },
    breakOff: (code, details) => broken.push({ code, details }),
  });
  return { reader, stream, messages, broken, untaken };
}

const message = fc.record({ bytes: fc.uint8Array({ maxLength: 40 }), compressed: fc.boolean() });

describe("MessageReader", () => {
  it("reads a message of which each byte comes by itself", () => {
    const bytes = Uint8Array.from({ length: 500 }, (_, i) => i % 251);
    const budget = new ByteBudget(500);
    const { reader, messages, broken } = reading({ budget });
    for (const byte of framed(bytes, true)) reader.read(Uint8Array.of(byte));
    const hex = Buffer.from(bytes).toString("hex");
    assert.deepEqual([messages, broken], [[{ hex, compressed: true }], []]);
    assert.ok(budget.hold(500), "what the message held was released");
  });

  it("copies a byte of a message twice at most, also when each comes by itself", (context) => {
    const bytes = framed(new Uint8Array(100_000), false);
    const { reader, messages } = reading();
    const copied = copiedBytes(context);
    // The last byte hands the message on, which the test's sink copies.
    for (let at = 0; at < bytes.length - 1; at++) reader.read(bytes.subarray(at, at + 1));
    const before = copied();
    assert.ok(before <= bytes.length, `${before} for ${bytes.length}`);
    reader.read(bytes.subarray(bytes.length - 1));
    assert.equal(messages.length, 1);
    assert.ok(copied() - before <= 2 * bytes.length, `${copied() - before} for ${bytes.length}`);
  });

  it("reads the same messages wherever the bytes are split", () => {
    const cuts = fc.array(fc.nat(200), { maxLength: 12 });
    fc.assert(
      fc.property(fc.array(message, { maxLength: 6 }), cuts, (sent, at) => {
        const bytes = Buffer.concat(sent.map((one) => framed(one.bytes, one.compressed)));
        const { reader, messages, broken } = reading();
        const ends = [...at.map((cut) => Math.min(cut, bytes.length)), bytes.length];
        let start = 0;
        for (const end of ends.sort((a, b) => a - b)) {
          reader.read(bytes.subarray(start, end));
          start = end;
        }
        assert.deepEqual(
          messages,
          sent.map((one) => ({
            hex: Buffer.from(one.bytes).toString("hex"),
            compressed: one.compressed,
          })),
        );
        assert.deepEqual(broken, []);
        assert.equal(reader.isInside, false);
      }),
      RUNS,
    );
  });

  it("knows when it is inside a message", () => {
    const bytes = framed(Buffer.from("abc"));
    for (let length = 0; length <= bytes.length; length++) {
      const { reader } = reading();
      reader.read(bytes.subarray(0, length));
      assert.equal(reader.isInside, length > 0 && length < bytes.length, `${length}`);
    }
  });

  it("copies a small message, so that it does not keep all that came with it", () => {
    let kept = 0;
    const reader = new MessageReader(new PassThrough(), -1, new ByteBudget(0), {
      takeMessage: (bytes) => (kept = bytes.buffer.byteLength),
      breakOff: () => assert.fail(),
    });
    const chunk = new Uint8Array(4096);
    chunk.set(framed(Buffer.alloc(10)));
    reader.read(chunk.subarray(0, 15));
    assert.equal(kept, 10);
  });

  it("takes a message of the limit, and breaks off at the prefix of a longer one", () => {
    const { reader, messages, broken } = reading({ maxBytes: 3 });
    reader.read(framed(Buffer.from("abc")));
    reader.read(Buffer.from([0, 0, 0, 0, 4]));
    assert.equal(messages.length, 1);
    assert.equal(broken[0]?.code, Code.RESOURCE_EXHAUSTED);
    reader.read(framed(Buffer.from("x")));
    assert.equal(messages.length, 1);
    assert.equal(broken.length, 1);
  });

  it("reads a length of 32 bits without a sign", () => {
    const { reader, broken } = reading({ maxBytes: 1 << 20 });
    reader.read(Buffer.from([0, 0xff, 0xff, 0xff, 0xff]));
    assert.match(broken[0]?.details ?? "", /4294967295 bytes/);
  });

  it("breaks off at a flag byte that gRPC does not know", () => {
    for (const flag of [2, 0x80, 0xff]) {
      const { reader, broken } = reading();
      reader.read(Buffer.from([flag, 0, 0, 0, 0]));
      assert.equal(broken[0]?.code, Code.INTERNAL);
    }
  });

  it("keeps no more than the budget of messages that are not whole", () => {
    const budget = new ByteBudget(10);
    const one = reading({ budget });
    const other = reading({ budget });
    one.reader.read(framed(Buffer.alloc(20)).subarray(0, 5 + 8));
    other.reader.read(framed(Buffer.alloc(20)).subarray(0, 5 + 8));
    assert.equal(other.broken[0]?.code, Code.RESOURCE_EXHAUSTED);
    assert.equal(budget.heldBytes, 8);
    one.reader.read(Buffer.alloc(12));
    assert.equal(one.messages.length, 1);
    assert.equal(budget.heldBytes, 0);
  });

  it("gives back what it held when it is dropped", () => {
    const budget = new ByteBudget(100);
    const { reader } = reading({ budget });
    reader.read(framed(Buffer.alloc(20)).subarray(0, 12));
    reader.drop();
    reader.drop();
    assert.equal(budget.heldBytes, 0);
  });

  it("pauses its stream while the sink has no room for one of its messages", () => {
    const { reader, stream, untaken } = reading({ holds: true });
    reader.read(Buffer.concat([framed(Buffer.from("a")), framed(Buffer.from("b"))]));
    assert.equal(stream.isPaused(), true);
    untaken.shift()?.();
    assert.equal(stream.isPaused(), true);
    untaken.shift()?.();
    assert.equal(stream.isPaused(), false);
  });
});
