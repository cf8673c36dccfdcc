/** Many messages in, one out. */
import assert from "node:assert/strict";
import { it } from "./case.ts";
import * as grpc from "@grpc/grpc-js";
import { collect } from "./calls.ts";
import { ERROR_TEXT } from "./handlers.ts";
import type { Way } from "./harness.ts";

export function clientStreamCases(way: Way): void {
  it("carries 200 messages in order", async () => {
    const { call, observed } = collect(way.stub, { action: "sum" });
    for (let number = 0; number < 200; number++)
      call.write({ payload: { number, data: new Uint8Array(3) } });
    call.end();
    const { messages } = await observed;
    assert.equal(messages[0]?.number, 200);
    assert.equal(messages[0]?.text, "600 bytes");
  });

  it("carries a stream without messages", async () => {
    const { call, observed } = collect(way.stub, { action: "sum" });
    call.end();
    assert.equal((await observed).messages[0]?.number, 0);
  });

  it("carries a last message given to end", async () => {
    const { call, observed } = collect(way.stub, { action: "sum" });
    call.write({ payload: {} });
    call.end({ payload: { number: 1 } });
    assert.equal((await observed).messages[0]?.number, 2);
  });

  it("gives the answer of a handler that answers before the half-close", async () => {
    const { call, observed } = collect(way.stub, { action: "early" });
    call.write({ payload: {} });
    const { messages, status } = await observed;
    assert.equal(messages[0]?.text, "enough");
    assert.equal(status.code, grpc.status.OK);
    call.end();
  });

  it("gives the error of a handler that fails before the half-close", async () => {
    const { call, observed } = collect(way.stub, { action: "fail-early" });
    call.write({ payload: { number: grpc.status.OUT_OF_RANGE } });
    const { status } = await observed;
    assert.equal(status.code, grpc.status.OUT_OF_RANGE);
    assert.equal(status.details, ERROR_TEXT);
    call.end();
  });

  it("starts the handler before the first message", async () => {
    const { id, call, observed } = collect(way.stub, { action: "sum" });
    await way.ledger.call(id);
    call.end();
    assert.equal((await observed).status.code, grpc.status.OK);
  });
}
