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

  it("closes in order when no call is open", () => {
    const pair = createPair();
    pair.client.session.close(0, 1000);
    pair.flush();
    assert.deepEqual(pair.client.closed, { error: undefined });
    assert.deepEqual(pair.enclave.closed, { error: undefined });
  });
});
