/** Many messages in, many out. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { it } from "./case.ts";
import * as grpc from "@grpc/grpc-js";
import type { ChatResponse } from "#gen/behavior/v1/behavior_pb.js";
import { chat } from "./calls.ts";
import { ERROR_TEXT } from "./handlers.ts";
import type { Way } from "./harness.ts";

export function bidiCases(way: Way): void {
  it("carries 300 messages each way in order", async () => {
    const { call, observed } = chat(way.stub, { action: "echo" });
    for (let number = 0; number < 300; number++) call.write({ payload: { number } });
    call.end();
    const { messages, status } = await observed;
    assert.deepEqual(
      messages.map(({ number }) => number),
      Array.from({ length: 300 }, (_, index) => index),
    );
    assert.equal(status.code, grpc.status.OK);
  });

  it("answers each message before the next is sent, 200 times", async () => {
    const { call, observed } = chat(way.stub, { action: "echo" });
    for (let number = 0; number < 200; number++) {
      const answer = once(call, "data");
      call.write({ payload: { number } });
      const [response] = (await answer) as [ChatResponse];
      assert.equal(response.payload?.number, number);
    }
    call.end();
    assert.equal((await observed).messages.length, 200);
  });

  it("tells the handler of the half-close, and not before", async () => {
    const { id, call, observed } = chat(way.stub, { action: "echo" });
    const answer = once(call, "data");
    call.write({ payload: {} });
    await answer;
    const seen = await way.ledger.call(id);
    assert.equal(seen.marked("end"), false);
    call.end();
    await seen.when("end");
    await observed;
  });

  it("ends with OK when the server ends first", async () => {
    const { call, observed } = chat(way.stub, { action: "first" });
    const { messages, status } = await observed;
    assert.equal(messages[0]?.text, "the server's last word");
    assert.equal(status.code, grpc.status.OK);
    call.end();
  });

  it("ends with the server's error while the client still sends", async () => {
    const { call, observed } = chat(way.stub, { action: "fail" });
    call.write({ payload: { number: grpc.status.ABORTED } });
    const { status } = await observed;
    assert.equal(status.code, grpc.status.ABORTED);
    assert.equal(status.details, ERROR_TEXT);
    call.end();
  });
}
