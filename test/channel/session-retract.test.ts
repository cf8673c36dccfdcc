import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createPair, OK, openCall, type Pair, type ServedCall } from "../support/session-pair.ts";

const GONE = { code: 14, message: "away", trailers: [] };

function started(pair: Pair): ServedCall["call"] {
  pair.flush();
  const [served] = pair.served;
  assert.ok(served);
  assert.equal(served.call.start(false, 0), true);
  return served.call;
}

describe("a call whose start is taken back", () => {
  it("is refused, and stops counting", () => {
    const pair = createPair({ terms: { maxConcurrentCalls: 1 } });
    const seen = openCall(pair);
    const call = started(pair);
    assert.equal(call.retract(), true);
    call.refuse(GONE);
    call.release();
    pair.flush();
    assert.deepEqual(seen.end, { kind: "refused", status: GONE, elsewhere: false });
    const next = openCall(pair);
    pair.flush();
    assert.equal(next.end, undefined);
    assert.equal(pair.served.length, 2);
  });

  it("may start again", () => {
    const pair = createPair();
    const seen = openCall(pair);
    const call = started(pair);
    call.retract();
    assert.equal(call.start(false, 0), true);
    call.end(OK);
    pair.flush();
    assert.equal(seen.end?.kind, "status");
  });

  for (const [what, answer] of [
    ["headers", (call) => call.sendHeaders({ metadata: [], encoding: "" })],
    ["a message", (call) => call.sendMessage(Uint8Array.of(1))],
    ["a status", (call) => call.end(OK)],
  ] as const satisfies readonly [string, (call: ServedCall["call"]) => void][]) {
    it(`is not, once ${what} was given, written or not`, () => {
      const pair = createPair();
      openCall(pair);
      const call = started(pair);
      answer(call);
      assert.equal(call.retract(), false);
      assert.throws(() => call.refuse(GONE), TypeError);
      pair.flush();
      assert.equal(call.retract(), false);
    });
  }

  it("is not, once its deadline has passed or it was cancelled", () => {
    for (const stop of ["expire", "cancel"] as const) {
      const pair = createPair();
      const seen = openCall(pair);
      const call = started(pair);
      if (stop === "expire") call.expire();
      else call.abandon("cancelled");
      assert.equal(call.retract(), false);
      pair.flush();
      if (stop === "expire") assert.equal(seen.end?.kind, "status");
    }
  });
});
