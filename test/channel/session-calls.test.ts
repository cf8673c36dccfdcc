import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as frame from "../../channel/frame.ts";
import type { CallEnd } from "../../channel/call-events.ts";
import { Budget } from "../../channel/budget.ts";
import { createPair, OK, openCall, type Pair, type ServedCall } from "../support/session-pair.ts";
import { OK_BODY, openFrame, rawFrame, RawPeer, u32 } from "../support/raw-peer.ts";

const bytes = (...values: number[]): Uint8Array => Uint8Array.of(...values);
/** Asked anew each time, so that the compiler does not believe an earlier answer. */
const endOf = (seen: { readonly end: CallEnd | undefined }): CallEnd["kind"] | undefined =>
  seen.end?.kind;
const first = (pair: Pair): ServedCall => {
  const [served] = pair.served;
  assert.ok(served);
  return served;
};

describe("how a call ends at the client", () => {
  it("with the sealed status, once", () => {
    const pair = createPair();
    const seen = openCall(pair, [bytes(1)]);
    pair.flush();
    const { call } = first(pair);
    call.start(true, 0);
    call.end({ code: 9, message: "no", trailers: [] });
    pair.flush();
    assert.deepEqual(seen.end, {
      kind: "status",
      status: { code: 9, message: "no", trailers: [] },
    });
  });

  it("with OK only after the application has read all messages", () => {
    const pair = createPair();
    const seen = openCall(pair, [], { read: false });
    pair.flush();
    const { call } = first(pair);
    call.start(false, 0);
    call.sendMessage(bytes(1));
    call.sendMessage(bytes(2));
    call.end(OK);
    pair.flush();
    assert.equal(seen.end, undefined);
    seen.call.read();
    assert.equal(seen.end, undefined);
    seen.call.read();
    assert.deepEqual(seen.messages, [bytes(1), bytes(2)]);
    assert.equal(endOf(seen), "status");
  });

  it("with OK also when the session is cut before the application has read all", () => {
    const pair = createPair();
    const seen = openCall(pair, [], { read: false });
    pair.flush();
    const { call } = first(pair);
    call.start(false, 0);
    call.sendMessage(bytes(1));
    call.end(OK);
    pair.flush();
    pair.client.session.receiveStreamEnd(0);
    seen.call.read();
    assert.equal(endOf(seen), "status");
  });

  it("as unsealed when the session is lost before OPEN left", () => {
    const pair = createPair();
    const seen = openCall(pair, [bytes(1)]);
    pair.client.session.receiveStreamEnd(0);
    assert.deepEqual(seen.end, { kind: "unsealed" });
  });

  it("as lost, by truncation, when the stream ends after OPEN left", () => {
    const pair = createPair();
    const seen = openCall(pair, [bytes(1)]);
    pair.take("client");
    pair.client.session.receiveStreamEnd(0);
    assert.equal(endOf(seen), "lost");
    assert.equal(pair.client.closed?.error?.code, "truncated");
  });

  it("as cancelled, and tells the enclave only of a call that it knows", () => {
    const pair = createPair();
    const unsealed = openCall(pair, [bytes(1)]);
    unsealed.call.cancel();
    assert.deepEqual(unsealed.end, { kind: "cancelled", sealed: false });
    const sealed = openCall(pair, [bytes(1)]);
    pair.flush();
    sealed.call.cancel();
    assert.deepEqual(sealed.end, { kind: "cancelled", sealed: true });
    pair.flush();
    assert.equal(pair.served.length, 1);
    assert.equal(first(pair).cancelled, "cancelled");
    assert.equal(pair.enclave.session.openCalls, 0);
  });

  it("at its deadline, unsealed when OPEN would leave too late", () => {
    const pair = createPair();
    const seen = openCall(pair, [bytes(1)], { deadlineMs: 50 });
    pair.nowMs = 50;
    pair.flush();
    assert.deepEqual(seen.end, { kind: "deadline", sealed: false });
    assert.equal(pair.served.length, 0);
  });

  it("at its deadline, and the enclave's handler is cancelled by its own clock", () => {
    const pair = createPair();
    const seen = openCall(pair, [bytes(1)], { deadlineMs: 50 });
    pair.flush();
    const { call, header } = first(pair);
    assert.equal(header.timeoutMs, 50);
    call.start(true, 0);
    pair.enclave.session.tick(50);
    assert.equal(first(pair).cancelled, "deadline");
    pair.client.session.tick(50);
    assert.deepEqual(seen.end, { kind: "deadline", sealed: true });
  });

  it("locally when a message is longer than the client accepts", () => {
    const pair = createPair({ maxReceiveMessageBytes: 10 });
    const seen = openCall(pair);
    pair.flush();
    const { call } = first(pair);
    call.start(true, 0);
    call.sendMessage(new Uint8Array(11));
    pair.flush();
    assert.ok(seen.end?.kind === "local" && seen.end.code === 8);
    assert.equal(first(pair).cancelled, "cancelled");
  });

  it("refuses metadata beyond 64 KiB before anything leaves", () => {
    const { client } = createPair();
    const metadata = [{ key: "k", value: new Uint8Array(65_536) }];
    const events = {
      onHeaders: () => undefined,
      onMessage: () => undefined,
      onEnd: () => undefined,
    };
    assert.throws(() => client.session.open({ method: "/a/B", metadata }, events), RangeError);
    assert.equal(client.session.openCalls, 0);
  });

  it("calls back every sender that waits when the call is over", () => {
    const pair = createPair();
    const seen = openCall(pair, [], { halfClose: false });
    let taken = 0;
    for (let i = 0; i < 8; i++)
      seen.call.sendMessage(new Uint8Array(100_000), false, () => taken++);
    assert.ok(taken < 8);
    seen.call.cancel();
    assert.equal(taken, 8);
  });
});

describe("what the enclave refuses", () => {
  const refusals = (
    peer: RawPeer,
  ): { id: number; code: number | undefined; elsewhere: boolean }[] =>
    peer
      .frames()
      .filter(({ type }) => type === frame.REFUSED)
      .map(({ id, flags, body }) => ({ id, code: body[1], elsewhere: flags === 1 }));

  it("a call that was on its way for longer than max_delay", () => {
    const peer = new RawPeer("enclave", { terms: { maxDelayMs: 100 } });
    peer.nowMs = 101;
    peer.send(openFrame(1, { sentMs: 0 }));
    assert.deepEqual(refusals(peer), [{ id: 1, code: 4, elsewhere: true }]);
  });

  it("a call that was on its way until its deadline", () => {
    const peer = new RawPeer("enclave");
    peer.nowMs = 10;
    peer.send(
      openFrame(1, { sentMs: 0, timeoutMs: 10 }),
      openFrame(2, { sentMs: 0, timeoutMs: 11 }),
    );
    assert.deepEqual(refusals(peer), [{ id: 1, code: 4, elsewhere: true }]);
  });

  it("to start a call whose request took longer than max_delay", () => {
    const calls: boolean[] = [];
    const peer = new RawPeer("enclave", {
      terms: { maxDelayMs: 100 },
      onCall: (call) => ({
        onMessage: () => undefined,
        onHalfClose: () => calls.push(call.start(true, peer.nowMs)),
        onCancel: () => undefined,
      }),
    });
    peer.send(openFrame(1));
    peer.nowMs = 101;
    peer.send(rawFrame(frame.END, 1));
    assert.deepEqual(calls, [false]);
    assert.deepEqual(refusals(peer), [{ id: 1, code: 4, elsewhere: true }]);
  });

  it("calls beyond the limit, which counts handlers that still run", () => {
    const peer = new RawPeer("enclave", {
      terms: { maxConcurrentCalls: 1 },
      onCall: (call) => {
        call.start(false, 0);
        call.end(OK);
        if (call.id > 1) call.release();
        return {
          onMessage: () => undefined,
          onHalfClose: () => undefined,
          onCancel: () => undefined,
        };
      },
    });
    peer.send(openFrame(1));
    peer.frames();
    peer.send(openFrame(2));
    assert.deepEqual(refusals(peer), [{ id: 2, code: 8, elsewhere: true }]);
  });

  it("a call whose deadline passes before its request is whole, without elsewhere", () => {
    const cancelled: string[] = [];
    const peer = new RawPeer("enclave", {
      onCall: () => ({
        onMessage: () => undefined,
        onHalfClose: () => undefined,
        onCancel: (reason) => cancelled.push(reason),
      }),
    });
    peer.send(openFrame(1, { timeoutMs: 10 }));
    peer.tick(10);
    assert.deepEqual(refusals(peer), [{ id: 1, code: 4, elsewhere: false }]);
    assert.deepEqual(cancelled, ["deadline"]);
  });

  it("a message beyond the limit: REFUSED before the handler started, END after", () => {
    for (const started of [false, true]) {
      const peer = new RawPeer("enclave", {
        maxReceiveMessageBytes: 10,
        onCall: (call) => {
          if (started) call.start(false, 0);
          return {
            onMessage: () => undefined,
            onHalfClose: () => undefined,
            onCancel: () => undefined,
          };
        },
      });
      peer.send(openFrame(1), rawFrame(frame.MESSAGE, 1, [...u32(4_000_000), 1], frame.MORE));
      const [answer] = peer.frames();
      assert.equal(answer?.type, started ? frame.END : frame.REFUSED);
      assert.equal(answer?.body[1], 8);
    }
  });

  it("to refuse what has started, which is a mistake of the caller", () => {
    const pair = createPair();
    openCall(pair);
    pair.flush();
    const { call } = first(pair);
    assert.throws(() => call.end(OK), TypeError);
    call.start(true, 0);
    assert.throws(() => call.refuse(OK), TypeError);
  });
});

describe("GOAWAY", () => {
  it("tells of the highest call that runs, and no later OPEN runs", () => {
    const pair = createPair();
    const ran = openCall(pair, [bytes(1)]);
    pair.flush();
    const late = openCall(pair, [bytes(2)]);
    const crossing = pair.take("client");
    pair.enclave.session.goAway(0, 1000);
    const goaway = pair.take("enclave");
    pair.deliver("enclave", crossing);
    assert.equal(pair.served.length, 1);
    pair.deliver("client", goaway);
    assert.deepEqual(late.end, { kind: "goaway" });
    assert.equal(endOf(ran), undefined);
    assert.equal(pair.client.draining, 1);
    first(pair).call.start(true, 0);
    first(pair).call.end(OK);
    pair.flush();
    assert.equal(endOf(ran), "status");
    assert.deepEqual(pair.client.closed, { error: undefined });
    assert.deepEqual(pair.enclave.closed, { error: undefined });
  });

  it("covers an OPEN that arrives after it was asked for and before it is written", () => {
    const pair = createPair();
    const seen = openCall(pair, [bytes(1)]);
    pair.enclave.session.goAway(0, 1000);
    pair.deliver("enclave", pair.take("client"));
    pair.deliver("client", pair.take("enclave"));
    assert.equal(pair.served.length, 1);
    assert.equal(seen.end, undefined);
  });

  it("ends calls that were not sealed as unsealed, and lets none be opened", () => {
    const pair = createPair();
    pair.enclave.session.goAway(0, 1000);
    const goaway = pair.take("enclave");
    const seen = openCall(pair);
    pair.deliver("client", goaway);
    assert.deepEqual(seen.end, { kind: "unsealed" });
    assert.ok(!pair.client.session.canOpen(0));
    assert.throws(() => openCall(pair), { code: "draining" });
  });

  it("ends what outlives its grace with UNAVAILABLE, as REFUSED when it never started", () => {
    const peer = new RawPeer("enclave", {
      onCall: (call) => {
        if (call.id === 1) call.start(false, 0);
        return {
          onMessage: () => undefined,
          onHalfClose: () => undefined,
          onCancel: () => undefined,
        };
      },
    });
    peer.send(openFrame(1), openFrame(2));
    peer.session.goAway(0, 500);
    peer.tick(500);
    const answers = peer.frames();
    assert.deepEqual(
      answers.map(({ type, id, flags }) => [type, id, flags]),
      [
        [frame.GOAWAY, 0, 0],
        [frame.REFUSED, 2, frame.ELSEWHERE],
        [frame.END, 1, 0],
      ],
    );
  });
});

describe("a client's close", () => {
  it("lets calls finish, then ends in order", () => {
    const pair = createPair();
    const seen = openCall(pair);
    pair.flush();
    pair.client.session.close(0, 1000);
    assert.equal(pair.client.closed, undefined);
    first(pair).call.start(true, 0);
    first(pair).call.end(OK);
    pair.flush();
    assert.equal(endOf(seen), "status");
    assert.deepEqual(pair.client.closed, { error: undefined });
  });

  it("cancels what outlives its grace", () => {
    const pair = createPair();
    const seen = openCall(pair);
    pair.flush();
    pair.client.session.close(0, 1000);
    pair.advance(1000);
    assert.deepEqual(seen.end, { kind: "cancelled", sealed: true });
    assert.equal(first(pair).cancelled, "cancelled");
    assert.deepEqual(pair.enclave.closed, { error: undefined });
  });

  it("is orderly for the enclave also when the stream ends right behind it", () => {
    const pair = createPair();
    pair.client.session.close(0, 0);
    pair.deliver("enclave", pair.take("client"));
    pair.enclave.session.receiveStreamEnd(0);
    assert.deepEqual(pair.enclave.closed, { error: undefined });
    pair.deliver("client", pair.take("enclave"));
    assert.deepEqual(pair.client.closed, { error: undefined });
  });

  it("is a truncation when the enclave ends while calls are open", () => {
    const peer = new RawPeer("client");
    const call = peer.openCall();
    peer.frames();
    peer.sendRecord("end", new Uint8Array(0));
    assert.ok(call.ended?.kind === "lost" && call.ended.error.code === "truncated");
  });

  it("by policy alerts, and what was sealed is lost", () => {
    const peer = new RawPeer("client");
    const call = peer.openCall();
    peer.frames();
    peer.session.abort();
    assert.equal(call.ended?.kind, "lost");
    assert.equal(peer.alert(), 5);
  });
});

describe("memory in the enclave", () => {
  it("above the budget, ends the call that keeps most; at three quarters, takes no new one", () => {
    const budget = new Budget(280_000);
    const pair = createPair({
      budget,
      onCall: (call, header) => {
        const record: ServedCall = {
          call,
          header,
          messages: [],
          halfClosed: false,
          cancelled: undefined,
        };
        pair.served.push(record);
        call.start(false, 0);
        return {
          onMessage: () => undefined,
          onHalfClose: () => undefined,
          onCancel: (reason) => {
            record.cancelled = reason;
          },
        };
      },
    });
    const small = openCall(pair, [new Uint8Array(100_000)], { halfClose: false });
    const large = openCall(pair, [new Uint8Array(150_000)], { halfClose: false });
    pair.flush();
    assert.ok(budget.isTight);
    const refused = openCall(pair, [bytes(1)]);
    pair.flush();
    assert.ok(
      refused.end?.kind === "refused" && refused.end.elsewhere && refused.end.status.code === 8,
    );
    small.call.sendMessage(new Uint8Array(40_000));
    pair.flush();
    assert.deepEqual(
      pair.served.map(({ cancelled }) => cancelled),
      [undefined, "budget"],
    );
    assert.ok(large.end?.kind === "status" && large.end.status.code === 8);
    assert.ok(budget.heldBytes < 280_000);
    small.call.cancel();
    pair.flush();
    assert.equal(budget.heldBytes, 0);
  });

  it("counts the metadata of the calls that are open", () => {
    const budget = new Budget(1_000_000);
    const pair = createPair({ budget });
    const metadata = [{ key: "k", value: new Uint8Array(60_000) }];
    const events = {
      onHeaders: () => undefined,
      onMessage: () => undefined,
      onEnd: () => undefined,
    };
    const call = pair.client.session.open({ method: "/a/B", metadata }, events);
    pair.flush();
    assert.ok(budget.heldBytes > 60_000);
    call.cancel();
    pair.flush();
    assert.equal(budget.heldBytes, 0);
  });

  it("a reader that reads nothing is sent no more than was granted", () => {
    const pair = createPair({ clientCredit: 50_000 });
    openCall(pair, [], { read: false });
    pair.flush();
    const { call } = first(pair);
    call.start(false, 0);
    let taken = 0;
    for (let i = 0; i < 100; i++) call.sendMessage(new Uint8Array(10_000), false, () => taken++);
    pair.flush();
    // 4 messages left within the credit, and 256 KiB wait in the call's own queue.
    assert.ok(taken < 40, String(taken));
  });
});

describe("order", () => {
  it("keeps what is queued before an error, and answers with the error's status", () => {
    const peer = new RawPeer("enclave", {
      onCall: (call) => {
        call.start(false, 0);
        call.sendHeaders({ metadata: [], encoding: "" });
        call.sendMessage(bytes(1));
        call.end({ code: 13, message: "", trailers: [] });
        call.sendMessage(bytes(2));
        return {
          onMessage: () => undefined,
          onHalfClose: () => undefined,
          onCancel: () => undefined,
        };
      },
    });
    peer.send(openFrame(1));
    assert.deepEqual(
      peer.frames().map(({ type }) => type),
      [frame.HEADERS, frame.MESSAGE, frame.END],
    );
  });

  it("an END that waits for credit leaves behind its messages", () => {
    const pair = createPair({ clientCredit: 1000 });
    const seen = openCall(pair, [], { read: false });
    pair.flush();
    const { call } = first(pair);
    call.start(false, 0);
    call.sendMessage(new Uint8Array(5000));
    call.end(OK);
    pair.flush();
    assert.equal(seen.end, undefined);
    seen.call.read();
    pair.flush();
    assert.equal(seen.messages[0]?.length, 5000);
    assert.equal(endOf(seen), "status");
  });

  it("a status that is too large becomes INTERNAL without trailers", () => {
    const peer = new RawPeer("enclave", {
      onCall: (call) => {
        call.start(false, 0);
        call.end({ code: 0, message: "", trailers: [{ key: "k", value: new Uint8Array(65_536) }] });
        return {
          onMessage: () => undefined,
          onHalfClose: () => undefined,
          onCancel: () => undefined,
        };
      },
    });
    peer.send(openFrame(1));
    const [end] = peer.frames();
    assert.deepEqual(end?.body.subarray(0, 2), bytes(8, 13));
  });

  it("small calls leave before the rest of a large message", () => {
    const pair = createPair({ padding: "none" });
    openCall(pair, [new Uint8Array(1_000_000)]);
    pair.deliver("enclave", [pair.client.session.takeRecord(0)?.subarray(9) ?? bytes()]);
    openCall(pair, [bytes(1)], { method: "/small/Call" });
    pair.deliver("enclave", [pair.client.session.takeRecord(0)?.subarray(9) ?? bytes()]);
    assert.equal(pair.served[1]?.header.method, "/small/Call");
    assert.ok(pair.served[1].halfClosed);
  });

  it("a call that is alone fills records to the limit, and beside small ones a quarter of them", () => {
    const pair = createPair({ terms: { initialCredit: 10_000_000 } });
    const { call } = openCall(pair, [], { halfClose: false });
    const takeAfter = (small: number): number[] => {
      for (let i = 0; i < small; i++) openCall(pair, [Uint8Array.of(1)]);
      call.sendMessage(new Uint8Array(3_000_000));
      return pair.take("client").map((record) => record.length);
    };
    const besideSmall = takeAfter(1);
    assert.ok(besideSmall[0] !== undefined && besideSmall[0] < 70_000);
    assert.ok(Math.max(...takeAfter(0)) > 260_000);
    assert.ok(Math.max(...takeAfter(1).slice(0, 20)) < 70_000);
  });

  it("long calls take turns, and a flood of short ones starves none", () => {
    const pair = createPair({ padding: "none" });
    openCall(pair, [new Uint8Array(100_000)], { method: "/long/A" });
    openCall(pair, [new Uint8Array(100_000)], { method: "/long/B" });
    for (let i = 0; i < 200; i++) openCall(pair, [new Uint8Array(1000)], { method: "/short/C" });
    pair.deliver("enclave", [pair.client.session.takeRecord(0)?.subarray(9) ?? bytes()]);
    const methods = pair.served.map(({ header }) => header.method);
    assert.ok(methods.includes("/long/A"));
    assert.ok(methods.filter((method) => method === "/short/C").length > 10);
  });
});

describe("a reply to a frame of an ended call", () => {
  it("is counted for GOAWAY's rule", () => {
    const peer = new RawPeer("client");
    const call = peer.openCall();
    peer.frames();
    call.cancel();
    peer.send(rawFrame(frame.END, 1, OK_BODY));
    peer.send(rawFrame(frame.GOAWAY, 0, u32(0)));
    assert.equal(peer.alert(), 2);
  });
});

describe("a handler that writes in a loop", () => {
  it("is told that its call is over before it is let go on", () => {
    const order: string[] = [];
    const peer = new RawPeer("enclave", {
      onCall: (call) => {
        call.start(false, 0);
        call.sendMessage(new Uint8Array(1_000_000), false, () => order.push("taken"));
        return {
          onMessage: () => undefined,
          onHalfClose: () => undefined,
          onCancel: (reason) => order.push(reason),
        };
      },
    });
    peer.send(openFrame(1));
    peer.frames();
    peer.send(rawFrame(frame.CANCEL, 1));
    assert.deepEqual(order, ["cancelled", "taken"]);
  });
});
