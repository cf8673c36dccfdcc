import assert from "node:assert/strict";
import type { Http2Stream } from "node:http2";
import { Writable } from "node:stream";
import { describe, it } from "node:test";
import { ByteBudget } from "../../services/http2/byte-budget.ts";
import { MessageWriter } from "../../services/http2/message-writer.ts";
import { framed } from "../support/framed.ts";
import { setImmediate as turn } from "node:timers/promises";

/** A stream that writes nothing until it is let go. */
class Stuck extends Writable {
  readonly bytes: Buffer[] = [];
  #held: (() => void)[] = [];

  constructor() {
    super({ highWaterMark: 16_384 });
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.bytes.push(chunk);
    this.#held.push(done);
  }

  async flow(): Promise<void> {
    while (this.writableLength > 0) {
      for (const done of this.#held.splice(0)) done();
      await turn();
    }
  }
}

function writing(budget: ByteBudget = new ByteBudget(1 << 30)) {
  const stream = new Stuck();
  let asked = 0;
  const writer = new MessageWriter(stream as unknown as Http2Stream, budget, () => (asked += 1));
  return { stream, writer, asked: () => asked };
}

describe("MessageWriter", () => {
  it("writes prefix and message, short and long, compressed or not", async () => {
    const messages = [Buffer.from("short"), Buffer.alloc(40_000, 7), Buffer.alloc(0)];
    const { stream, writer } = writing();
    for (const message of messages) writer.write(message, message.length === 0);
    await stream.flow();
    const expected = messages.map((message) => framed(message, message.length === 0));
    assert.ok(Buffer.concat(stream.bytes).equals(Buffer.concat(expected)));
  });

  it("asks for the next message while little waits", () => {
    const { writer, asked } = writing();
    writer.ask();
    assert.equal(asked(), 1);
    writer.write(Buffer.alloc(30_000), false);
    writer.ask();
    assert.equal(asked(), 2);
  });

  it("asks once more only when what waits has left", async () => {
    const { stream, writer, asked } = writing();
    writer.write(Buffer.alloc(100_000), false);
    writer.ask();
    writer.ask();
    assert.equal(asked(), 0);
    await stream.flow();
    assert.equal(asked(), 1);
  });

  it("charges what waits to the budget, and gives it back", async () => {
    const budget = new ByteBudget(1 << 20);
    const { stream, writer } = writing(budget);
    writer.write(Buffer.alloc(60_000), false);
    assert.equal(budget.heldBytes, 0);
    writer.write(Buffer.alloc(60_000), false);
    assert.equal(budget.heldBytes, 120_010);
    await stream.flow();
    assert.equal(budget.heldBytes, 0);
  });

  it("says when the budget has no room for a message", () => {
    const { writer } = writing(new ByteBudget(99_999));
    assert.equal(writer.write(Buffer.alloc(100_000), false), false);
  });

  it("asks for nothing while the budget is tight", () => {
    const budget = new ByteBudget(100);
    budget.hold(60);
    const { writer, asked } = writing(budget);
    writer.ask();
    assert.equal(asked(), 0);
    budget.release(60);
    assert.equal(asked(), 1);
  });

  it("holds and wants nothing once it is dropped", async () => {
    const budget = new ByteBudget(1 << 20);
    const { stream, writer, asked } = writing(budget);
    writer.write(Buffer.alloc(100_000), false);
    writer.ask();
    writer.drop();
    assert.equal(budget.heldBytes, 0);
    await stream.flow();
    assert.equal(budget.heldBytes, 0);
    assert.equal(asked(), 0);
  });
});
