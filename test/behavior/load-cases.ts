/** Many calls at once, much data, and readers that do not read. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { it } from "./case.ts";
import * as grpc from "@grpc/grpc-js";
import { settled } from "../support/settled.ts";
import { chat, collect, expand, unary } from "./calls.ts";
import { FILL_BYTES, FLOOD_BYTES, FLOOD_COUNT } from "./handlers.ts";
import type { Way } from "./harness.ts";

export function loadCases(way: Way): void {
  it("stops a server whose reader pauses, and loses nothing", async () => {
    const count = 4000;
    const { id, call, observed } = expand(way.stub, { action: "fill" }, { number: count });
    call.pause();
    const seen = await way.ledger.call(id);
    const ahead = await settled(() => seen.sent);
    assert.ok(ahead < count / 2, `wrote ${ahead} of ${count} messages that nobody read`);
    call.resume();
    const { messages } = await observed;
    assert.equal(messages.length, count);
    assert.ok(messages.every(({ number, data }, i) => number === i && data.length === FILL_BYTES));
  });

  it("stops a client whose handler does not read, and loses nothing", async () => {
    const count = 3000;
    const { id, call, observed } = collect(way.stub, { action: "hold" });
    const seen = await way.ledger.call(id);
    const data = new Uint8Array(FILL_BYTES);
    let sent = 0;
    const writing = (async () => {
      for (; sent < count; sent++)
        if (!call.write({ payload: { number: sent, data } })) await once(call, "drain");
      call.end();
    })();
    const ahead = await settled(() => sent);
    assert.ok(ahead < count / 2, `wrote ${ahead} of ${count} messages that nobody read`);
    seen.release();
    await writing;
    const { messages } = await observed;
    assert.equal(messages[0]?.number, count);
    assert.equal(messages[0]?.text, `${count * FILL_BYTES} bytes`);
  });

  it("serves other calls while one reader pauses", async () => {
    const { call, observed } = expand(way.stub, { action: "fill" }, { number: 1000 });
    await once(call, "data");
    call.pause();
    for (let round = 0; round < 20; round++) {
      const { status } = await unary(way.stub, { action: "bare" }).observed;
      assert.equal(status.code, grpc.status.OK);
    }
    call.resume();
    assert.equal((await observed).messages.length, 1000);
  });

  it("cancels a stream that is stopped by its reader", async () => {
    const { id, call, observed } = expand(way.stub, { action: "fill" }, { number: 4000 });
    call.pause();
    const seen = await way.ledger.call(id);
    await settled(() => seen.sent);
    call.cancel();
    await seen.when("cancelled");
    call.resume();
    assert.equal((await observed).status.code, grpc.status.CANCELLED);
  });

  it("answers 1000 unary calls at once, each with its own answer", async () => {
    const calls = Array.from({ length: 1000 }, (_, number) =>
      unary(way.stub, { action: "bare" }, { number }),
    );
    const answers = await Promise.all(calls.map(({ observed }) => observed));
    assert.ok(answers.every(({ messages }, number) => messages[0]?.number === number));
    assert.ok(calls.every(({ id }) => way.ledger.runs(id).length === 1));
  });

  it("keeps 1000 bidirectional calls open at once", async () => {
    const calls = Array.from({ length: 1000 }, () => chat(way.stub, { action: "echo" }));
    await Promise.all(
      calls.map(async ({ call }, number) => {
        const answer = once(call, "data");
        call.write({ payload: { number } });
        await answer;
      }),
    );
    for (const { call } of calls) call.end();
    const answers = await Promise.all(calls.map(({ observed }) => observed));
    assert.ok(answers.every(({ messages }, number) => messages[0]?.number === number));
    assert.ok(answers.every(({ status }) => status.code === grpc.status.OK));
  });

  it("carries four two-way floods at once", async () => {
    const flood = async (): Promise<void> => {
      const { call, observed } = chat(way.stub, { action: "flood" });
      const data = new Uint8Array(FLOOD_BYTES).fill(1);
      for (let number = 0; number < FLOOD_COUNT; number++)
        if (!call.write({ payload: { number, data } })) await once(call, "drain");
      call.end();
      const { messages, status } = await observed;
      assert.equal(status.code, grpc.status.OK);
      assert.equal(messages.length, FLOOD_COUNT + 1);
      assert.ok(messages.slice(0, -1).every(({ data }) => data.length === FLOOD_BYTES));
      assert.equal(messages.at(-1)?.text, `${FLOOD_COUNT * FLOOD_BYTES} bytes`);
    };
    await Promise.all([flood(), flood(), flood(), flood()]);
  });
}
