/** Records whose frames are taken in over several turns. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { createPair, OK, openCall, type Pair } from "../support/session-pair.ts";
import { openFrame, rawFrame, RawPeer } from "../support/raw-peer.ts";

const CALLS = 10;

describe("a record that is not taken in at once", () => {
  it("gives as many frames as are asked for, and the others later", () => {
    const { pair, records } = waiting();
    // Each call has OPEN, MESSAGE and END.
    pair.enclave.session.receive(records[0] ?? new Uint8Array(), 0, 6);
    assert.equal(pair.served.length, 2);
    assert.equal(pair.enclave.session.hasUnread, true);
    pair.enclave.session.takeIn(0, 6);
    assert.equal(pair.served.length, 4);
    pair.enclave.session.takeIn(0, Infinity);
    assert.equal(pair.served.length, CALLS);
    assert.equal(pair.enclave.session.hasUnread, false);
  });

  for (const [what, happen] of [
    ["the next record", ({ pair, records }) => pair.deliver("enclave", records.slice(1))],
    ["the end of the stream", ({ pair }) => pair.enclave.session.receiveStreamEnd(0)],
    ["a deadline", ({ pair }) => pair.enclave.session.tick(0)],
  ] satisfies [string, (one: Waiting) => void][]) {
    it(`is taken in before ${what} has its effect`, () => {
      const one = waiting();
      one.pair.enclave.session.receive(one.records[0] ?? new Uint8Array(), 0, 2);
      happen(one);
      assert.equal(one.pair.served.length >= CALLS, true);
      assert.equal(one.pair.enclave.session.hasUnread, false);
    });
  }

  it("ends the session where it says so, after its last frame", () => {
    const peer = new RawPeer("enclave");
    peer.sendRecordSlowly("end", [openFrame(1), openFrame(2)], 1);
    assert.equal(peer.session.openCalls, 1);
    assert.equal(peer.session.isDraining, false);
    peer.session.takeIn(0, 1);
    assert.equal(peer.session.isDraining, true);
  });

  it("is given up with the session when a frame is bad", () => {
    const peer = new RawPeer("enclave");
    peer.sendRecordSlowly("frames", [openFrame(1), rawFrame(99, 1), openFrame(2)], 1);
    assert.equal(peer.session.isClosed, false);
    peer.session.takeIn(0, 1);
    assert.equal(peer.closed?.error?.code, "malformed-frame");
    assert.equal(peer.session.hasUnread, false);
  });

  it("does what it does at once, however it is cut", () => {
    const whole = run(() => Infinity);
    const sizes = fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(sizes, (frames) => {
        let next = 0;
        assert.deepEqual(
          run(() => frames[next++ % frames.length] ?? 1),
          whole,
        );
      }),
    );
  });
});

interface Waiting {
  readonly pair: Pair;
  readonly records: readonly Uint8Array[];
}

/** Two records: one of all calls, and one of another. */
function waiting(): Waiting {
  const pair = createPair();
  for (let i = 0; i < CALLS; i += 1) openCall(pair, [Uint8Array.of(i)]);
  const records = pair.take("client");
  openCall(pair);
  records.push(...pair.take("client"));
  assert.equal(records.length, 2);
  return { pair, records };
}

/** What both ends saw of calls with three messages each way. */
function run(maxFrames: () => number): unknown {
  const pair = createPair();
  const requests = [1, 2, 3].map((value) => new Uint8Array(100).fill(value));
  const seen = Array.from({ length: CALLS }, () => openCall(pair, requests));
  const deliver = (to: "client" | "enclave", records: readonly Uint8Array[]): void => {
    const { session } = pair[to];
    for (const record of records) {
      session.receive(record, 0, maxFrames());
      while (session.hasUnread) session.takeIn(0, maxFrames());
    }
  };
  deliver("enclave", pair.take("client"));
  for (const { call, messages } of pair.served) {
    call.start(false, 0);
    for (const message of messages) call.sendMessage(message);
    call.end(OK);
  }
  deliver("client", pair.take("enclave"));
  pair.client.session.close(0, 1000);
  pair.flush();
  const answers = seen.map(({ messages, end }) => ({ messages, end }));
  const served = pair.served.map(({ header, messages }) => ({ method: header.method, messages }));
  return { answers, served, closed: [pair.client.closed, pair.enclave.closed] };
}
