import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Budget } from "../../channel/budget.ts";
import { createPair, openCall } from "../support/session-pair.ts";

const NO_EVENTS = {
  onHeaders: () => undefined,
  onMessage: () => undefined,
  onEnd: () => undefined,
};

describe("the budget of an enclave", () => {
  it("ends another call when the one that keeps most was ended already", () => {
    const budget = new Budget(100_000);
    const pair = createPair({
      budget,
      onCall: (call) => {
        call.start(false, 0);
        return {
          onMessage: () => undefined,
          onHalfClose: () => undefined,
          onCancel: () => undefined,
        };
      },
    });
    const first = openCall(pair, [], { halfClose: false });
    const second = openCall(pair, [], { halfClose: false });
    const metadata = [{ key: "k", value: new Uint8Array(60_000) }];
    pair.client.session.open({ method: "/a/B", metadata }, NO_EVENTS);
    pair.flush();
    // One record brings both, so no END can leave in between.
    first.call.sendMessage(new Uint8Array(30_000));
    second.call.sendMessage(new Uint8Array(30_000));
    pair.deliver("enclave", pair.take("client"));
    assert.ok(budget.heldBytes <= 100_000);
  });
});
