/** One message in, many out. */
import assert from "node:assert/strict";
import { it } from "./case.ts";
import * as grpc from "@grpc/grpc-js";
import { expand } from "./calls.ts";
import { ERROR_DETAILS, ERROR_TEXT } from "./handlers.ts";
import type { Way } from "./harness.ts";

export function serverStreamCases(way: Way): void {
  it("carries 1000 messages in order", async () => {
    const { messages } = await expand(way.stub, { action: "count" }, { number: 1000 }).observed;
    assert.deepEqual(
      messages.map(({ number }) => number),
      Array.from({ length: 1000 }, (_, index) => index),
    );
  });

  it("carries a stream without messages", async () => {
    const { messages, status } = await expand(way.stub, { action: "none" }).observed;
    assert.deepEqual(messages, []);
    assert.equal(status.code, grpc.status.OK);
  });

  it("gives headers before the first message", async () => {
    const { call, observed } = expand(way.stub, { action: "count" }, { number: 1 });
    const order: string[] = [];
    call.on("metadata", () => order.push("headers"));
    call.on("data", () => order.push("message"));
    call.on("end", () => order.push("end"));
    await observed;
    assert.deepEqual(order, ["headers", "message", "end"]);
  });

  it("gives a message as soon as it is there, while the call goes on", async () => {
    const { id, call, observed } = expand(way.stub, { action: "hold" });
    await new Promise((resolve) => call.once("data", resolve));
    call.cancel();
    assert.equal((await observed).status.code, grpc.status.CANCELLED);
    await (await way.ledger.call(id)).when("cancelled");
  });

  it("gives an error in mid-stream, with details and trailers", async () => {
    const { status } = await expand(way.stub, { action: "fail" }, { number: 30 }).observed;
    assert.equal(status.code, grpc.status.DATA_LOSS);
    assert.equal(status.details, ERROR_TEXT);
    assert.deepEqual(status.metadata.get("grpc-status-details-bin"), [ERROR_DETAILS]);
    assert.deepEqual(status.metadata.get("failure"), ["trailing"]);
  });
}
