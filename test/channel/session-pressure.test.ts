import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Budget } from "../../channel/budget.ts";
import * as frame from "../../channel/frame.ts";
import { openFrame, rawFrame, RawPeer } from "../support/raw-peer.ts";
import { createPair, openCall } from "../support/session-pair.ts";

const NO_EVENTS = {
  onHeaders: () => undefined,
  onMessage: () => undefined,
  onEnd: () => undefined,
};

const codeOf = (peer: RawPeer): string | undefined => peer.closed?.error?.code;

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

  it("is kept to also when it is handlers that fill it", async () => {
    const budget = new Budget(1_000_000);
    const pair = createPair({ budget, clientCredit: 1 });
    for (let i = 0; i < 10; i++) openCall(pair);
    pair.flush();
    for (const { call } of pair.served) {
      call.start(true, 0);
      call.sendMessage(new Uint8Array(200_000));
    }
    await Promise.resolve();
    assert.ok(budget.heldBytes <= 1_000_000, `${budget.heldBytes} bytes`);
  });
});

describe("the budget of a client", () => {
  /** Calls whose handlers answer, and nobody reads it. */
  const answering = (maxBytes: number, calls: number) => {
    const clientBudget = new Budget(maxBytes);
    const pair = createPair({ clientBudget, clientCredit: 1_000_000 });
    const opened = Array.from({ length: calls }, () => openCall(pair, [], { read: false }));
    pair.flush();
    for (const { call } of pair.served) call.start(true, 0);
    return { clientBudget, pair, opened };
  };

  it("ends the call that keeps most, and no other", () => {
    const { clientBudget, pair, opened } = answering(100_000, 3);
    for (const [i, { call }] of pair.served.entries()) {
      call.sendMessage(new Uint8Array(20_000 + 20_000 * i));
    }
    pair.flush();
    assert.deepEqual(
      opened.map(({ end }) => end?.kind),
      [undefined, undefined, "local"],
    );
    assert.equal(pair.served[2]?.cancelled, "cancelled");
    assert.ok(clientBudget.heldBytes <= 100_000);
  });

  it("ends calls that are over on the wire while nobody reads what they brought", () => {
    const { clientBudget, pair, opened } = answering(100_000, 3);
    for (const { call } of pair.served) {
      call.sendMessage(new Uint8Array(40_000));
      call.end({ code: 0, message: "", trailers: [] });
    }
    pair.flush();
    assert.equal(opened.filter(({ end }) => end?.kind === "local").length, 1);
    assert.ok(clientBudget.heldBytes <= 100_000);
  });

  it("counts what is left to read of a session that has ended, until it is read", () => {
    const { clientBudget, pair, opened } = answering(100_000, 1);
    pair.served[0]?.call.sendMessage(new Uint8Array(40_000));
    pair.served[0]?.call.end({ code: 0, message: "", trailers: [] });
    pair.flush();
    pair.client.session.close(0, 0);
    pair.flush();
    assert.ok(pair.client.session.isClosed);
    assert.ok(clientBudget.heldBytes > 40_000);
    clientBudget.charge(80_000);
    clientBudget.relieve();
    assert.equal(opened[0]?.end?.kind, "local");
    assert.equal(clientBudget.heldBytes, 80_000);
  });
});

describe("a peer that reads nothing", () => {
  it("makes a sender of empty messages wait too", () => {
    const pair = createPair({ clientCredit: 1 });
    openCall(pair);
    pair.flush();
    const [served] = pair.served;
    served?.call.start(true, 0);
    let taken = 0;
    for (let i = 0; i < 100_000; i++) {
      served?.call.sendMessage(new Uint8Array(0), false, () => {
        taken += 1;
      });
    }
    assert.ok(taken < 10_000, `${taken} were taken`);
  });

  it("is closed when a PING for it finds no room among what it provoked", () => {
    const peer = new RawPeer("enclave", {
      onCall: (call, { method }) => {
        if (method !== "/open") {
          call.refuse({ code: 12, message: method, trailers: [] });
        }
        return {
          onMessage: () => undefined,
          onHalfClose: () => undefined,
          onCancel: () => undefined,
        };
      },
    });
    peer.send(openFrame(1, { method: "/open" }));
    // REFUSED counts as 10 + 16 + 3 for each character.
    let left = 1_048_576;
    for (let id = 2; left > 18; id++) {
      const length = Math.min(20_000, Math.floor((left - 26) / 3));
      peer.send(openFrame(id, { method: "x".repeat(length) }));
      left -= 26 + 3 * length;
    }
    assert.equal(codeOf(peer), undefined);
    peer.tick(20_000);
    assert.equal(codeOf(peer), "credit-overrun");
  });

  it("provokes no CREDIT for each piece of a message that is waited for", () => {
    const peer = new RawPeer("enclave", {
      terms: { initialCredit: 1000 },
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
    peer.send(openFrame(1), rawFrame(frame.MESSAGE, 1, [0, 1, 0, 0, 1], frame.MORE));
    for (let i = 0; i < 500; i++) peer.send(rawFrame(frame.MESSAGE, 1, [1], frame.MORE));
    const grants = peer.frames().filter(({ type }) => type === frame.CREDIT).length;
    assert.equal(codeOf(peer), undefined);
    assert.ok(grants < 10, `${grants} grants`);
  });
});

describe("a header whose length is hard to bound", () => {
  const text = "x".repeat(40_000);

  it("leaves in a status", () => {
    const pair = createPair();
    const seen = openCall(pair);
    pair.flush();
    const [served] = pair.served;
    served?.call.start(true, 0);
    served?.call.end({ code: 3, message: text, trailers: [] });
    pair.flush();
    assert.ok(seen.end?.kind === "status" && seen.end.status.message === text);
  });

  it("leaves in an OPEN", () => {
    const pair = createPair();
    openCall(pair, [], { method: `/${text}` });
    pair.flush();
    assert.equal(pair.served[0]?.header.method, `/${text}`);
  });

  it("is replaced in a refusal when it is too long", () => {
    const pair = createPair({
      onCall: (call) => {
        call.refuse({ code: 12, message: "x".repeat(70_000), trailers: [] });
        return {
          onMessage: () => undefined,
          onHalfClose: () => undefined,
          onCancel: () => undefined,
        };
      },
    });
    const seen = openCall(pair);
    pair.flush();
    assert.ok(seen.end?.kind === "refused" && seen.end.status.code === 12);
  });
});

describe("an END of the enclave inside a message", () => {
  it("ends the session, and the call with it", () => {
    const peer = new RawPeer("client");
    const call = peer.openCall();
    peer.frames();
    peer.send(
      rawFrame(frame.HEADERS, 1),
      rawFrame(frame.MESSAGE, 1, [0, 0, 0, 9, 1], frame.MORE),
      rawFrame(frame.END, 1),
    );
    assert.equal(peer.closed?.error?.code, "malformed-frame");
    assert.equal(call.ended?.kind, "lost");
  });
});

describe("a session that is closed", () => {
  it("gives no key of its exporter any more", () => {
    const { client } = createPair();
    client.session.receiveStreamEnd(0);
    assert.throws(() => client.session.exporter(Uint8Array.of(1), Uint8Array.of(), 32), {
      code: "session-expired",
    });
  });

  it("gives no alert when its key is too old to seal one, and does not throw", () => {
    const pair = createPair({ keyLimitMs: 1000 });
    pair.enclave.session.tick(3000);
    pair.enclave.session.abort();
    assert.equal(pair.enclave.session.takeRecord(3000), undefined);
    assert.equal(pair.enclave.session.hasOutput(), false);
  });
});
