/**
 * What our server end promises and grpc-js's does not, so these run only where the handlers run
 * behind ours; each says what grpc-js 1.14 does instead.
 */
import assert from "node:assert/strict";
import { it } from "./case.ts";
import * as grpc from "@grpc/grpc-js";
import { chat, collect, expand, unary } from "./calls.ts";
import type { Promises, Way } from "./harness.ts";
import type { SeenCall } from "./ledger.ts";

const HOUR_MS = 3_600_000;

export function beyondCases(way: Way, promises: Promises): void {
  if (!promises.handlers) return;

  const upload = async (ask: object, stop: (call: grpc.ClientWritableStream<object>) => void) => {
    const client = way.client();
    const { id, call, observed } = collect(client, { action: "commit", ...ask });
    for (let number = 0; number < 3; number++) call.write({ payload: { number } });
    const seen: SeenCall = await way.ledger.call(id);
    await seen.when("received 3");
    stop(call);
    await observed;
    await seen.when("abandoned");
    assert.equal(seen.marked("committed"), false);
    client.close();
  };

  // grpc-js emits `end` before `cancelled`, so half an upload is taken for a whole one.
  it("does not end an upload that was cancelled", async () => {
    await upload({}, (call) => call.cancel());
  });

  it("does not end an upload whose connection was cut", async () => {
    await upload({}, () => way.links[0]?.cut());
  });

  it("does not end an upload whose deadline came", async () => {
    await upload({ deadline: Date.now() + 700 }, () => {});
  });

  // grpc-js sends no status at all: the client waits for ever.
  it("answers for a client streaming handler that destroys its call", async () => {
    const { call, observed } = collect(way.stub, { action: "destroy" });
    call.write({ payload: {} });
    assert.equal((await observed).status.code, grpc.status.UNKNOWN);
  });

  it("answers for a server streaming handler that destroys its call", async () => {
    const { observed } = expand(way.stub, { action: "destroy" });
    assert.equal((await observed).status.code, grpc.status.UNKNOWN);
  });

  it("answers for a bidirectional handler that destroys its call", async () => {
    const { call, observed } = chat(way.stub, { action: "destroy" });
    call.write({ payload: {} });
    assert.equal((await observed).status.code, grpc.status.UNKNOWN);
  });

  // In grpc-js the end of the loop destroys the stream, and the client waits for ever.
  it("answers for a bidirectional handler that loops over its call and then ends it", async () => {
    const { call, observed } = chat(way.stub, { action: "loop" });
    call.end({ payload: {} });
    const { messages, status } = await observed;
    assert.equal(status.code, grpc.status.OK);
    assert.equal(messages[0]?.number, 1);
  });

  // With grpc-js this is an unhandled rejection, which ends the process.
  it("answers for an asynchronous handler that rejects, and hides the text", async () => {
    const { status } = await unary(way.stub, { action: "reject" }).observed;
    assert.equal(status.code, grpc.status.UNKNOWN);
    assert.doesNotMatch(status.details, /rejected by the handler/);
  });

  // grpc-js sends the status of the last one, and perhaps no message.
  it("gives the first of several answers", async () => {
    const { messages, status } = await unary(way.stub, { action: "twice" }, { text: "once" })
      .observed;
    assert.equal(messages[0]?.text, "once");
    assert.equal(status.code, grpc.status.OK);
  });

  // grpc-js's server cuts the time to 32 bits, and such a call expires at once.
  for (const hours of [1000, 1194, 20_000]) {
    it(`keeps a deadline ${hours} hours away`, async () => {
      const deadline = Date.now() + hours * HOUR_MS;
      const { id, observed } = unary(way.stub, { action: "bare", deadline });
      assert.equal((await observed).status.code, grpc.status.OK);
      const { deadlineMs } = await way.ledger.call(id);
      assert.ok(Math.abs(deadlineMs - deadline) < HOUR_MS, `${deadlineMs}`);
    });
  }
}
