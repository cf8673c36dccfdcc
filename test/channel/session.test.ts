import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createPair, openCall, OK } from "../support/session-pair.ts";

const bytes = (...values: number[]): Uint8Array => Uint8Array.of(...values);

describe("a session", () => {
  it("carries a unary call in one record each way", () => {
    const pair = createPair();
    const seen = openCall(pair, [bytes(1, 2, 3)]);
    const up = pair.take("client");
    assert.equal(up.length, 1);
    pair.deliver("enclave", up);
    const [served] = pair.served;
    assert.ok(served);
    assert.equal(served.header.method, "/test.Service/Method");
    served.call.read();
    assert.deepEqual(served.messages, [bytes(1, 2, 3)]);
    assert.ok(served.halfClosed);
    assert.ok(served.call.start(true, pair.nowMs));
    served.call.sendMessage(bytes(9));
    served.call.end(OK);
    const down = pair.take("enclave");
    assert.equal(down.length, 1);
    pair.deliver("client", down);
    assert.deepEqual(seen.messages, [bytes(9)]);
    assert.equal(seen.end?.kind, "status");
    assert.equal(pair.client.session.openCalls, 0);
    assert.equal(pair.enclave.session.openCalls, 0);
  });

  it("carries a message far beyond its credit", () => {
    const pair = createPair({ clientCredit: 1000, terms: { initialCredit: 1000 } });
    const big = new Uint8Array(3_000_000).map((_, i) => i % 251);
    const seen = openCall(pair, [big]);
    pair.flush();
    const [served] = pair.served;
    assert.ok(served);
    served.call.read();
    pair.flush();
    assert.deepEqual(served.messages, [big]);
    served.call.start(true, 0);
    served.call.sendMessage(big);
    served.call.end(OK);
    pair.flush();
    assert.deepEqual(seen.messages, [big]);
    assert.equal(seen.end?.kind, "status");
  });

  it("carries messages of many records right behind each other, each in an array of its own", () => {
    const pair = createPair();
    const sizes = [200_000, 3, 150_000, 70_000, 0, 33_000, 300_000, 65_536, 1_000_000];
    const messages = sizes.map((size, i) => new Uint8Array(size).fill(i + 1));
    const seen = openCall(pair, messages);
    pair.flush();
    assert.deepEqual(pair.served[0]?.messages, messages);
    pair.served[0].call.start(true, 0);
    for (const message of messages) pair.served[0].call.sendMessage(message);
    pair.served[0].call.end(OK);
    pair.flush();
    assert.deepEqual(seen.messages, messages);
    assert.deepEqual(pair.served[0].messages, messages);
  });

  it("closes in order when no call is open", () => {
    const pair = createPair();
    pair.client.session.close(0, 1000);
    pair.flush();
    assert.deepEqual(pair.client.closed, { error: undefined });
    assert.deepEqual(pair.enclave.closed, { error: undefined });
  });
});
