/** What calls do when a hop breaks or is not there yet. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { setTimeout as pause } from "node:timers/promises";
import { it } from "./case.ts";
import * as grpc from "@grpc/grpc-js";
import { chat, collect, unary } from "./calls.ts";
import type { Link, Promises, Way } from "./harness.ts";
import { BehaviorClient } from "./service.ts";

/** For calls that may come while something still backs off from a link that was down. */
function patient(): grpc.Metadata {
  return new grpc.Metadata({ waitForReady: true });
}

export function linkCases(way: Way, { waitsFor }: Promises): void {
  // The links are known only once the harness runs; every way has one or two.
  const link = (index: number): Link => {
    const found = way.links.at(index);
    assert.ok(found);
    return found;
  };

  for (const [place, index] of [
    ["the client's hop", 0],
    ["the server's hop", -1],
  ] as const) {
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
      link(index).cut();
      for (const { id, observed } of [open, upload, waiting]) {
        assert.equal((await observed).status.code, grpc.status.UNAVAILABLE);
        await (await way.ledger.call(id)).when("cancelled");
        assert.equal(way.ledger.runs(id).length, 1);
      }
      const next = await unary(client, { action: "bare", metadata: patient() }).observed;
      assert.equal(next.status.code, grpc.status.OK);
      client.close();
    });

    if (place !== "the client's hop" && waitsFor === "the client's hop") {
      it(`fails a call with UNAVAILABLE while ${place} is down, and recovers`, async () => {
        await link(index).down();
        const client = way.client();
        const waiting = unary(client, { action: "bare", metadata: patient() });
        for (const { observed } of [unary(client, { action: "bare" }), waiting]) {
          assert.equal((await observed).status.code, grpc.status.UNAVAILABLE);
        }
        await link(index).up();
        for (;;) {
          const { status } = await unary(client, { action: "bare" }).observed;
          if (status.code === grpc.status.OK) break;
          assert.equal(status.code, grpc.status.UNAVAILABLE);
          await pause(50);
        }
        client.close();
      });
      continue;
    }

    it(`fails a call with UNAVAILABLE while ${place} is down, and one that waits goes on`, async () => {
      await link(index).down();
      const client = way.client();
      const waiting = unary(client, { action: "bare", metadata: patient() });
      const hasty = await unary(client, { action: "bare" }).observed;
      assert.equal(hasty.status.code, grpc.status.UNAVAILABLE);
      await link(index).up();
      assert.equal((await waiting.observed).status.code, grpc.status.OK);
      client.close();
    });

    it(`ends a call that waits for ${place} at its deadline`, async () => {
      await link(index).down();
      const client = way.client();
      const ask = { action: "bare", metadata: patient(), deadline: Date.now() + 300 };
      const { status } = await unary(client, ask).observed;
      assert.equal(status.code, grpc.status.DEADLINE_EXCEEDED);
      await link(index).up();
      client.close();
    });
  }

  it("lets a call end that was under way when its client closed", async () => {
    const client = way.client();
    const ask = { action: "hold", metadata: patient() };
    const { id, observed } = unary(client, ask, { number: 5 });
    const seen = await way.ledger.call(id);
    client.close();
    seen.release();
    const { messages, status } = await observed;
    assert.equal(status.code, grpc.status.OK);
    assert.equal(messages[0]?.number, 5);
  });

  it("tells who watches when the connection is there, gone, and there again", async () => {
    const client = way.client();
    const channel = client.getChannel();
    const { IDLE, READY } = grpc.connectivityState;
    const until = async (wanted: (state: grpc.connectivityState) => boolean): Promise<void> => {
      for (;;) {
        const state = channel.getConnectivityState(true);
        if (wanted(state)) return;
        await new Promise<void>((resolve) => {
          channel.watchConnectivityState(state, Date.now() + 30_000, () => resolve());
        });
      }
    };
    assert.equal(channel.getConnectivityState(false), IDLE);
    await until((state) => state === READY);
    await link(0).down();
    await until((state) => state !== READY);
    await link(0).up();
    await until((state) => state === READY);
    client.close();
  });

  it("lets two stubs share a channel", async () => {
    const one = way.client();
    const other = new BehaviorClient("unused:1", grpc.credentials.createInsecure(), {
      channelOverride: one.getChannel(),
    });
    for (const stub of [one, other]) {
      const { status } = await unary(stub, { action: "bare", metadata: patient() }).observed;
      assert.equal(status.code, grpc.status.OK);
    }
    one.close();
  });

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
