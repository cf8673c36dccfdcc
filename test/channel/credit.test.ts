import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ReceiveCredit, type Link } from "../../channel/credit.ts";

const KIB = 1024;
const MIB = 1024 * KIB;
const INITIAL = 256 * KIB;

/** A call whose messages of 64 KiB come one by one, each consumed at once. */
class Flow {
  readonly credit = new ReceiveCredit(INITIAL);
  granted = INITIAL;
  nowMs = 0;
  bulkCalls = 1;
  distanceMs: number | undefined = 0;

  get link(): Link {
    return { nowMs: this.nowMs, distanceMs: this.distanceMs, bulkCalls: () => this.bulkCalls };
  }

  /** Passes `bytes` at a rate, and gives the most that was granted ahead. */
  run(bytes: number, bytesPerMs: number): number {
    let most = 0;
    for (let done = 0; done < bytes; done += 64 * KIB) {
      this.nowMs += (64 * KIB) / bytesPerMs;
      this.credit.receive(64 * KIB);
      this.credit.consume(64 * KIB);
      this.granted += this.credit.grant(undefined, this.link) - 64 * KIB;
      most = Math.max(most, this.granted);
    }
    return most;
  }
}

describe("what a receiver keeps granted", () => {
  it("is 1 MiB for a call that is alone, and 128 KiB beside others", () => {
    const flow = new Flow();
    assert.equal(flow.run(8 * MIB, 100 * KIB), MIB);
    flow.bulkCalls = Infinity;
    flow.run(8 * MIB, 100 * KIB);
    assert.equal(flow.run(8 * MIB, 100 * KIB), 128 * KIB);
  });

  it("is 1 MiB for calls that all move much, together", () => {
    const flow = new Flow();
    flow.bulkCalls = 4;
    assert.equal(flow.run(8 * MIB, 100 * KIB), 256 * KIB);
  });

  it("is no more than the initial credit before the distance is known", () => {
    const flow = new Flow();
    flow.distanceMs = undefined;
    assert.ok(flow.run(8 * MIB, 100 * KIB) <= INITIAL);
  });

  it("grows with what a long link carries in a round trip, and shrinks with it", () => {
    const flow = new Flow();
    flow.bulkCalls = Infinity;
    flow.distanceMs = 40;
    const most = flow.run(64 * MIB, 50 * KIB);
    assert.ok(most > 2 * 40 * 50 * KIB && most < 4 * 40 * 50 * KIB, `${most}`);
    flow.run(64 * MIB, KIB);
    assert.ok(flow.run(8 * MIB, KIB) < MIB);
  });

  it("is never more than 16 MiB", () => {
    const flow = new Flow();
    flow.distanceMs = 1000;
    assert.equal(flow.run(500 * MIB, 100 * KIB), 16 * MIB);
  });

  it("is given back as the application takes it, and to one that does not keep up no more", () => {
    const flow = new Flow();
    flow.distanceMs = 1000;
    flow.credit.receive(INITIAL);
    assert.equal(flow.credit.grant(undefined, flow.link), 0);
    flow.credit.consume(200 * KIB);
    assert.equal(flow.credit.grant(undefined, flow.link), 128 * KIB - 56 * KIB);
  });

  it("lets a message that is awaited come, however long, in steps on a short link", () => {
    const { credit, link } = new Flow();
    let granted = INITIAL;
    let cost = 0;
    for (let grants = 0; cost < 4 * MIB;) {
      const piece = Math.min(granted, 16 * KIB);
      credit.receive(piece);
      cost += piece;
      const due = credit.grant(
        { cost, demand: 4 * MIB - cost },
        { ...link, bulkCalls: () => Infinity },
      );
      granted += due - piece;
      if (due > 0) grants += 1;
      assert.ok(granted > 0 && granted <= INITIAL && grants < 100, `${granted} in ${grants}`);
    }
    assert.equal(credit.heldBytes, 4 * MIB);
  });

  it("is at once what an awaited message needs, on a long link", () => {
    const { credit, link } = new Flow();
    credit.receive(64 * KIB);
    const awaited = { cost: 64 * KIB, demand: 3 * MIB };
    const due = credit.grant(awaited, { ...link, distanceMs: 40 });
    assert.ok(due >= 3 * MIB - (INITIAL - 64 * KIB), `${due}`);
  });
});
