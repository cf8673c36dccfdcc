import assert from "node:assert/strict";
import { once } from "node:events";
import { after, before, describe, it } from "node:test";
import * as grpc from "@grpc/grpc-js";
import { ClientError, createClient, Metadata } from "nice-grpc";
import { generatedStub } from "../support/generated-stub.ts";
import { chat, collect, expand, unary } from "./calls.ts";
import { ERROR_TEXT } from "./handlers.ts";
import type { Harness } from "./harness.ts";
import { ACTION_KEY, CASE_KEY } from "./ledger.ts";
import { startPlain } from "./plain-harness.ts";
import { startSealed } from "./sealed-harness.ts";
import { type BehaviorClient, behaviorDefinition, type PayloadInit } from "./service.ts";

for (const [name, start] of [
  ["plain grpc-js", startPlain],
  ["an attested channel", startSealed],
] as const) {
  describe(`independent stubs over ${name}`, { timeout: 60_000 }, () => {
    let harness: Harness;
    let channel: grpc.ChannelInterface;
    before(async () => {
      harness = await start();
      channel = harness.client().getChannel();
    });
    after(async () => {
      channel.close();
      await harness.close();
    });

    it("serves a stub that ts-proto generated, in all four kinds", async () => {
      const Stub: typeof BehaviorClient = await generatedStub();
      const stub = new Stub("ignored:1", grpc.credentials.createInsecure(), {
        channelOverride: channel,
      });
      const one = await unary(stub, { action: "echo" }, whole({ text: "世界" })).observed;
      assert.equal(one.messages[0]?.text, "世界");
      const failed = await unary(stub, { action: "fail" }, whole({ number: 9 })).observed;
      assert.equal(failed.status.code, grpc.status.FAILED_PRECONDITION);
      assert.equal(failed.status.details, ERROR_TEXT);
      const up = collect(stub, { action: "sum" });
      for (let number = 0; number < 50; number++) up.call.write({ payload: whole({ number }) });
      up.call.end();
      assert.equal((await up.observed).messages[0]?.number, 50);
      const down = await expand(stub, { action: "count" }, whole({ number: 50 })).observed;
      assert.equal(down.messages.length, 50);
      const both = chat(stub, { action: "echo" });
      const answer = once(both.call, "data");
      both.call.write({ payload: whole({ text: "ping" }) });
      await answer;
      both.call.end();
      assert.equal((await both.observed).messages[0]?.text, "ping");
    });

    it("serves nice-grpc, in all four kinds", async () => {
      const client = createClient(behaviorDefinition, channel as grpc.Channel);
      const one = await client.unary({ payload: { text: "世界" } }, ask("echo"));
      assert.equal(one.payload?.text, "世界");
      await assert.rejects(
        client.unary({ payload: { number: 9 } }, ask("fail")),
        (error) => error instanceof ClientError && error.details === ERROR_TEXT,
      );
      const sum = await client.collect(numbered(50), ask("sum"));
      assert.equal(sum.payload?.number, 50);
      let count = 0;
      for await (const { payload } of client.expand({ payload: { number: 50 } }, ask("count")))
        assert.equal(payload?.number, count++);
      assert.equal(count, 50);
      count = 0;
      for await (const { payload } of client.chat(numbered(50), ask("echo")))
        assert.equal(payload?.number, count++);
      assert.equal(count, 50);
    });
  });
}

/** What ts-proto generates takes no partial message. */
function whole(payload: { text?: string; number?: number }): PayloadInit {
  return { text: "", data: new Uint8Array(), number: 0, ...payload };
}

function ask(action: string): { metadata: Metadata } {
  return { metadata: Metadata({ [ACTION_KEY]: action, [CASE_KEY]: `nice ${action}` }) };
}

async function* numbered(count: number): AsyncGenerator<{ payload: { number: number } }> {
  for (let number = 0; number < count; number++) yield { payload: { number } };
}
