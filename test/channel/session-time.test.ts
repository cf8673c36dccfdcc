import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as frame from "../../channel/frame.ts";
import { createPair, OK, openCall } from "../support/session-pair.ts";
import { HEADERS_BODY, openFrame, rawFrame, RawPeer, u32 } from "../support/raw-peer.ts";

const MINUTE = 60_000;
const codeOf = (peer: RawPeer): string | undefined => peer.closed?.error?.code;

describe("the age of a session", () => {
  it("makes the client open elsewhere before four fifths of it", () => {
    const pair = createPair();
    assert.ok(!pair.client.session.canOpen(0.69 * 60 * MINUTE), "idle for too long");
    openCall(pair);
    pair.flush();
    assert.ok(pair.client.session.canOpen(0.69 * 60 * MINUTE));
    assert.ok(!pair.client.session.canOpen(0.8 * 60 * MINUTE));
    pair.client.session.tick(0.8 * 60 * MINUTE);
    assert.equal(pair.client.draining, 1);
  });

  it("makes the enclave drain at max_age, and end what still runs ten minutes later", () => {
    const pair = createPair({ terms: { maxAgeMs: MINUTE } });
    const seen = openCall(pair);
    pair.flush();
    pair.served[0]?.call.start(true, 0);
    pair.advance(MINUTE, 10_000);
    assert.equal(pair.client.draining, 1);
    assert.equal(seen.end, undefined);
    pair.advance(10 * MINUTE, 10_000);
    assert.deepEqual(seen.end, {
      kind: "status",
      status: { code: 14, message: "session age", trailers: [] },
    });
    assert.equal(pair.served[0]?.cancelled, "age");
    assert.deepEqual(pair.enclave.closed, { error: undefined });
  });

  it("is cut shorter by a shutdown that gives less than its drain", () => {
    const pair = createPair({ terms: { maxAgeMs: MINUTE } });
    const seen = openCall(pair);
    pair.flush();
    pair.served[0]?.call.start(true, 0);
    pair.advance(MINUTE, 10_000);
    pair.enclave.session.goAway(pair.nowMs, 5000);
    assert.equal(pair.enclave.session.nextDeadlineMs(), MINUTE + 5000);
    pair.advance(5000);
    assert.ok(seen.end?.kind === "status" && seen.end.status.message === "session age");
  });

  it("ends in order at max_idle when no call is open", () => {
    const pair = createPair();
    pair.advance(10 * MINUTE);
    assert.deepEqual(pair.enclave.closed, { error: undefined });
    assert.deepEqual(pair.client.closed, { error: undefined });
  });

  it("lets the client open nothing in the last half minute of idleness", () => {
    const pair = createPair();
    assert.ok(pair.client.session.canOpen(9.5 * MINUTE - 1));
    assert.ok(!pair.client.session.canOpen(9.5 * MINUTE));
  });
});

describe("a peer that falls silent", () => {
  it("is sent PING after 20 s with an open call, and is given up 20 s later", () => {
    const peer = new RawPeer("client");
    const call = peer.openCall();
    peer.frames();
    peer.tick(19_999);
    assert.deepEqual(peer.frames(), []);
    peer.tick(20_000);
    assert.deepEqual(
      peer.frames().map(({ type }) => type),
      [frame.PING],
    );
    peer.tick(39_999);
    assert.equal(codeOf(peer), undefined);
    peer.tick(40_000);
    assert.equal(codeOf(peer), "truncated");
    assert.equal(call.ended?.kind, "lost");
  });

  it("is alive when it answers", () => {
    const pair = createPair();
    openCall(pair);
    pair.flush();
    pair.advance(5 * MINUTE, 1000);
    assert.equal(pair.client.closed, undefined);
    assert.equal(pair.enclave.closed, undefined);
  });

  it("is not asked while no call is open", () => {
    const peer = new RawPeer("client");
    peer.tick(5 * MINUTE);
    assert.deepEqual(peer.frames(), []);
    // Nor at once when the first call is opened after a long silence.
    peer.openCall();
    peer.frames();
    peer.tick(5 * MINUTE + 19_999);
    assert.deepEqual(peer.frames(), []);
  });

  it("is watched by the time that nextDeadlineMs names", () => {
    const peer = new RawPeer("client");
    peer.openCall();
    peer.frames();
    assert.equal(peer.session.nextDeadlineMs(), 20_000);
  });
});

describe("an end that the peer never answers", () => {
  it("is waited for 20 s", () => {
    const peer = new RawPeer("client");
    peer.session.close(0, Infinity);
    peer.frames();
    assert.equal(peer.session.nextDeadlineMs(), 20_000);
    peer.tick(19_999);
    assert.ok(!peer.session.isClosed);
    peer.tick(20_000);
    assert.equal(codeOf(peer), "truncated");
    assert.equal(peer.session.hasOutput(), false);
  });
});

describe("key updates", () => {
  it("happen by time, and records go on opening", () => {
    const peer = new RawPeer("client", { keyLimitMs: 1000 });
    peer.openCall();
    peer.frames();
    assert.equal(peer.session.nextDeadlineMs(), 1000);
    peer.tick(1000);
    assert.ok(peer.session.hasOutput());
    assert.deepEqual(peer.frames(), []);
    assert.ok(!peer.session.hasOutput());
    peer.openCall();
    peer.frames();
    assert.deepEqual(peer.recordTypes, ["frames", "key-update", "frames"]);
  });

  it("happen on an idle session too, and do not keep it alive", () => {
    const pair = createPair();
    pair.advance(9 * MINUTE);
    const seen = openCall(pair);
    pair.flush();
    seen.call.cancel();
    pair.flush();
    pair.advance(9.5 * MINUTE, 30_000);
    assert.deepEqual([pair.client.closed, pair.enclave.closed], [undefined, undefined]);
    pair.advance(MINUTE, 30_000);
    assert.deepEqual(pair.client.closed, { error: undefined });
    assert.deepEqual(pair.enclave.closed, { error: undefined });
  });

  it("happen by volume, both ways, while a large message is under way", () => {
    const pair = createPair({ keyLimitBytes: 600_000 });
    const big = new Uint8Array(2_000_000).fill(5);
    const seen = openCall(pair, [big]);
    pair.flush();
    pair.served[0]?.call.start(true, 0);
    pair.served[0]?.call.sendMessage(big);
    pair.served[0]?.call.end(OK);
    pair.flush();
    assert.equal(seen.messages[0]?.length, big.length);
    assert.equal(pair.client.closed, undefined);
  });
});

describe("credit", () => {
  it("grows while it is used up within a round trip", () => {
    const peer = new RawPeer("client");
    const call = peer.openCall();
    call.read();
    peer.frames();
    peer.send(rawFrame(frame.HEADERS, 1, HEADERS_BODY));
    const grants: number[] = [];
    for (let i = 0; i < 40; i++) {
      peer.nowMs += 10;
      peer.send(rawFrame(frame.MESSAGE, 1, new Uint8Array(100_000)));
      call.read();
      for (const { type, body } of peer.frames()) {
        if (type === frame.CREDIT) grants.push(frame.readU32(body, 0));
        // The answer comes a second later: the link is long.
        if (type === frame.PING) {
          peer.nowMs += 1000;
          peer.send(rawFrame(frame.PONG, 0, body));
        }
      }
    }
    const largest = Math.max(...grants);
    assert.ok(largest > 1_000_000, grants.join());
  });

  it("is granted for the start of a message, however little there was", () => {
    for (const initialCredit of [1, 63, 64, 68, 69, 80]) {
      const pair = createPair({ terms: { initialCredit }, clientCredit: initialCredit });
      openCall(
        pair,
        [1, 2, 3, 4, 5].map((fill) => new Uint8Array(30).fill(fill)),
      );
      pair.flush();
      assert.equal(pair.served[0]?.messages.length, 5, `${initialCredit}`);
    }
  });

  it("is granted at once for the message that the application waits for", () => {
    const peer = new RawPeer("enclave", {
      terms: { initialCredit: 100 },
      onCall: (call) => {
        call.start(false, 0);
        call.read();
        return {
          onMessage: () => undefined,
          onHalfClose: () => undefined,
          onCancel: () => undefined,
        };
      },
    });
    peer.send(openFrame(1), rawFrame(frame.MESSAGE, 1, [...u32(50_000), 1], frame.MORE));
    const [grant] = peer.frames();
    assert.equal(grant?.type, frame.CREDIT);
    assert.ok(frame.readU32(grant.body, 0) >= 49_999);
  });
});
