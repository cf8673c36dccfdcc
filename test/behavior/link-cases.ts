/** What calls do when a hop breaks or is not there yet. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { it } from "./case.ts";
import * as grpc from "@grpc/grpc-js";
import { chat, collect, unary } from "./calls.ts";
import type { Link } from "./harness.ts";
import type { Way } from "./suite.ts";

function patient(): grpc.Metadata {
  return new grpc.Metadata({ waitForReady: true });
}

export function linkCases(way: Way): void {
  // The links are known only once the harness runs; every way has one or two.
  for (const [place, index] of [
    ["the client's hop", 0],
    ["the server's hop", -1],
  ] as const) {
    const link = (): Link => {
      const found = way.links.at(index);
      assert.ok(found);
      return found;
    };

    it(`ends open calls with UNAVAILABLE when ${place} is cut, and recovers`, async () => {
      const client = way.client();
      const open = chat(client, { action: "echo" });
      const answer = once(open.call, "data");
      open.call.write({ payload: {} });
      await answer;
      const upload = collect(client, { action: "hold" });
      const waiting = unary(client, { action: "hold" });
      await way.ledger.call(upload.id);
      await way.ledger.call(waiting.id);
      link().cut();
      for (const { id, observed } of [open, upload, waiting]) {
        assert.equal((await observed).status.code, grpc.status.UNAVAILABLE);
        await (await way.ledger.call(id)).when("cancelled");
        assert.equal(way.ledger.runs(id).length, 1);
      }
      const next = await unary(client, { action: "bare", metadata: patient() }).observed;
      assert.equal(next.status.code, grpc.status.OK);
      client.close();
    });

    it(`fails a call with UNAVAILABLE while ${place} is down, and one that waits goes on`, async () => {
      await link().down();
      const client = way.client();
      const waiting = unary(client, { action: "bare", metadata: patient() });
      const hasty = await unary(client, { action: "bare" }).observed;
      assert.equal(hasty.status.code, grpc.status.UNAVAILABLE);
      await link().up();
      assert.equal((await waiting.observed).status.code, grpc.status.OK);
      client.close();
    });

    it(`ends a call that waits for ${place} at its deadline`, async () => {
      await link().down();
      const client = way.client();
      const ask = { action: "bare", metadata: patient(), deadline: Date.now() + 300 };
      const { status } = await unary(client, ask).observed;
      assert.equal(status.code, grpc.status.DEADLINE_EXCEEDED);
      await link().up();
      client.close();
    });
  }

  it("refuses calls on a closed client", () => {
    const client = way.client();
    client.close();
    assert.throws(() => unary(client, { action: "bare" }));
  });

  it("lets waitForReady of the client see the connection", async () => {
    const client = way.client();
    await new Promise<void>((resolve, reject) => {
      client.waitForReady(Date.now() + 30_000, (error) => (error ? reject(error) : resolve()));
    });
    assert.equal(client.getChannel().getConnectivityState(false), grpc.connectivityState.READY);
    client.close();
  });
}
