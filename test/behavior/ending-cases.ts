/** Calls that end before they are done: deadlines and cancellation. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { it } from "./case.ts";
import * as grpc from "@grpc/grpc-js";
import { chat, collect, expand, unary } from "./calls.ts";
import type { Way } from "./harness.ts";

const HOUR_MS = 3_600_000;

export function endingCases(way: Way): void {
  for (const [form, deadline] of [
    ["a Date", () => new Date(Date.now() + HOUR_MS)],
    ["milliseconds", () => Date.now() + HOUR_MS],
    ["a fraction of a millisecond", () => Date.now() + HOUR_MS + 0.4],
  ] as const) {
    it(`tells the handler the deadline, given as ${form}`, async () => {
      const asked = deadline();
      const { id, observed } = unary(way.stub, { action: "bare", deadline: asked });
      await observed;
      const { deadlineMs } = await way.ledger.call(id);
      assert.ok(Math.abs(deadlineMs - Number(asked)) < HOUR_MS / 2, `${deadlineMs}`);
    });
  }

  it("tells the handler that there is no deadline", async () => {
    const { id, observed } = unary(way.stub, { action: "bare" });
    await observed;
    assert.equal((await way.ledger.call(id)).deadlineMs, Infinity);
  });

  it("takes an infinite deadline as none", async () => {
    const { id, observed } = unary(way.stub, { action: "bare", deadline: Infinity });
    await observed;
    assert.equal((await way.ledger.call(id)).deadlineMs, Infinity);
  });

  it("ends a call at its deadline, and cancels the handler", async () => {
    const { id, observed } = unary(way.stub, { action: "hold", deadline: Date.now() + 300 });
    const seen = await way.ledger.call(id);
    assert.equal((await observed).status.code, grpc.status.DEADLINE_EXCEEDED);
    await seen.when("cancelled");
    assert.equal(seen.cancelled, true);
  });

  it("ends a stream at its deadline, after what came before", async () => {
    const { id, observed } = expand(way.stub, { action: "hold", deadline: Date.now() + 300 });
    const seen = await way.ledger.call(id);
    const { messages, status } = await observed;
    assert.equal(status.code, grpc.status.DEADLINE_EXCEEDED);
    assert.deepEqual(
      messages.map(({ text }) => text),
      ["first"],
    );
    await seen.when("cancelled");
  });

  it("ends a call whose deadline is over at once, and runs nothing", async () => {
    const { id, observed } = unary(way.stub, { action: "bare", deadline: Date.now() - 1000 });
    assert.equal((await observed).status.code, grpc.status.DEADLINE_EXCEEDED);
    assert.equal(way.ledger.runs(id).length, 0);
  });

  it("cancels a unary call, and the handler sees it", async () => {
    const { id, call, observed } = unary(way.stub, { action: "hold" });
    const seen = await way.ledger.call(id);
    call.cancel();
    assert.equal((await observed).status.code, grpc.status.CANCELLED);
    await seen.when("cancelled");
    assert.equal(seen.cancelled, true);
  });

  it("cancels a call before it has left", async () => {
    const { call, observed } = unary(way.stub, { action: "bare" });
    call.cancel();
    assert.equal((await observed).status.code, grpc.status.CANCELLED);
  });

  it("cancels a client streaming call, and the handler sees it", async () => {
    const { id, call, observed } = collect(way.stub, { action: "hold" });
    const seen = await way.ledger.call(id);
    call.cancel();
    assert.equal((await observed).status.code, grpc.status.CANCELLED);
    await seen.when("cancelled");
  });

  it("cancels a bidirectional call, and the handler sees it", async () => {
    const { id, call, observed } = chat(way.stub, { action: "echo" });
    const answer = once(call, "data");
    call.write({ payload: {} });
    await answer;
    call.cancel();
    assert.equal((await observed).status.code, grpc.status.CANCELLED);
    const seen = await way.ledger.call(id);
    await seen.when("cancelled");
    assert.equal(seen.cancelled, true);
  });

  it("does nothing when a finished call is cancelled", async () => {
    const { call, observed } = unary(way.stub, { action: "bare" });
    assert.equal((await observed).status.code, grpc.status.OK);
    call.cancel();
    assert.equal((await unary(way.stub, { action: "bare" }).observed).status.code, grpc.status.OK);
  });

  it("tells a handler that its call is over, after a good one too", async () => {
    const { id, observed } = unary(way.stub, { action: "bare" });
    await observed;
    const seen = await way.ledger.call(id);
    await seen.when("cancelled");
    assert.equal(seen.cancelled, true);
  });

  it("drops the answer of a handler whose call was cancelled", async () => {
    const { id, call, observed } = unary(way.stub, { action: "hold" });
    const seen = await way.ledger.call(id);
    call.cancel();
    await observed;
    await seen.when("cancelled");
    seen.release();
    assert.equal((await unary(way.stub, { action: "bare" }).observed).status.code, grpc.status.OK);
  });

  it("gives a child call its parent's deadline and cancellation", async () => {
    const deadline = Date.now() + HOUR_MS;
    const parent = unary(way.stub, { action: "hold", deadline });
    const outer = await way.ledger.call(parent.id);
    const ask = { action: "hold", parent: outer.call as grpc.ServerUnaryCall<unknown, unknown> };
    const child = unary(way.stub, ask);
    const inner = await way.ledger.call(child.id);
    assert.ok(Math.abs(inner.deadlineMs - deadline) < HOUR_MS / 2, `${inner.deadlineMs}`);
    parent.call.cancel();
    await inner.when("cancelled");
    assert.equal((await child.observed).status.code, grpc.status.CANCELLED);
    await parent.observed;
  });
}
