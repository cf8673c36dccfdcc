import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ControlQueue } from "../../channel/control-queue.ts";
import { PING } from "../../channel/frame.ts";
import { Lifetime } from "../../channel/lifetime.ts";
import { Liveness } from "../../channel/liveness.ts";
import { TERMS } from "../support/session-pair.ts";

function create(): { liveness: Liveness; isPinged: () => boolean } {
  const control = new ControlQueue();
  const liveness = new Liveness(new Lifetime(TERMS, 0, 0), control);
  const isPinged = (): boolean => {
    const pinged = control.holds(PING);
    control.clear();
    return pinged;
  };
  return { liveness, isPinged };
}

describe("the distance of the peer", () => {
  it("is known after a few round trips, and is the shortest less what is local", () => {
    const { liveness, isPinged } = create();
    liveness.measure(0);
    let nowMs = 0;
    for (const roundTripMs of [15, 6, 9, 7]) {
      assert.equal(liveness.distanceMs, undefined);
      assert.ok(isPinged());
      nowMs += roundTripMs;
      liveness.receivePong(nowMs);
    }
    assert.equal(liveness.distanceMs, 4);
    assert.ok(!isPinged());
  });

  it("is known at once when it is long, and is measured again only later", () => {
    const { liveness, isPinged } = create();
    liveness.measure(0);
    assert.ok(isPinged());
    liveness.receivePong(50);
    assert.equal(liveness.distanceMs, 48);
    liveness.measure(1000);
    assert.ok(!isPinged());
    liveness.measure(1100);
    assert.ok(isPinged());
    liveness.receivePong(1142);
    assert.equal(liveness.distanceMs, 40);
    liveness.measure(2200);
    liveness.receivePong(2400);
    assert.equal(liveness.distanceMs, 40);
  });
});
