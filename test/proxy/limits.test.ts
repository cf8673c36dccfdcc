import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { completeLimits } from "../../services/complete-limits.ts";
import { BufferBudget, type Holder } from "../../services/proxy/buffer-budget.ts";
import {
  forwardedFields,
  forwardedRequest,
  forwardedStatus,
  statusFields,
} from "../../services/proxy/header.ts";
import { DEFAULT_LIMITS, type ProxyLimits } from "../../services/proxy/limits.ts";
import { networkOf, PeerLimits } from "../../services/proxy/peer-limits.ts";
import { eventually } from "../support/http2-enclave.ts";

const numRuns = Number(process.env["FUZZ_RUNS"] ?? 100);

describe("limits of a peer", () => {
  const limits = completeLimits(DEFAULT_LIMITS, {
    maxConnectionsPerAddress: 2,
    maxSessionsPerSecond: 10,
  });

  it("count the connections of each address apart", () => {
    const peers = new PeerLimits(limits);
    assert.ok(peers.admitConnection("10.0.0.1", 0) && peers.admitConnection("10.0.0.1", 0));
    assert.ok(!peers.admitConnection("10.0.0.1", 0));
    assert.ok(peers.admitConnection("10.0.0.2", 0));
    peers.release("10.0.0.1");
    assert.ok(peers.admitConnection("10.0.0.1", 0));
  });

  it("take an IPv6 /64 and a mapped IPv4 address for what they are", () => {
    assert.equal(networkOf("2001:db8::1"), networkOf("2001:db8:0:0:ffff::2"));
    assert.notEqual(networkOf("2001:db8:0:1::1"), networkOf("2001:db8::1"));
    assert.equal(networkOf("::ffff:10.0.0.1"), "10.0.0.1");
    assert.equal(networkOf("fe80::1%eth0"), networkOf("fe80::2"));
    assert.equal(networkOf("::1"), "0:0:0:0::/64");
  });

  it("let sessions in at the rate, after a burst", () => {
    const peers = new PeerLimits(limits);
    const admitted = (nowMs: number): number =>
      Array.from({ length: 100 }, () => peers.admitSession("a", nowMs)).filter(Boolean).length;
    assert.equal(admitted(0), 40);
    assert.equal(admitted(0), 0);
    assert.equal(admitted(500), 5);
    assert.equal(admitted(1_000_000), 40);
  });

  it("do not tell peers without an address apart", () => {
    const peers = new PeerLimits(limits);
    for (let index = 0; index < 1000; index += 1) {
      assert.ok(peers.admitConnection(undefined, 0) && peers.admitSession(undefined, 0));
    }
    assert.equal(peers.size, 0);
  });

  it("forget a peer when there is nothing to remember, so that reconnecting gains nothing", () => {
    const peers = new PeerLimits(limits);
    peers.admitConnection("a", 0);
    for (let index = 0; index < 40; index += 1) {
      peers.admitSession("a", 0);
    }
    peers.release("a");
    peers.sweep(1000);
    assert.equal(peers.size, 1);
    assert.ok(peers.admitSession("a", 1000));
    peers.sweep(10_000);
    assert.equal(peers.size, 0);
  });

  it("must each be a positive integer", () => {
    for (const value of [0, -1, 1.5, Number.NaN, "8", undefined]) {
      const given = { maxBufferedBytes: value } as unknown as Partial<ProxyLimits>;
      assert.throws(() => completeLimits(DEFAULT_LIMITS, given), {
        name: "RangeError",
        message: `maxBufferedBytes is ${value}, expected a positive integer`,
      });
    }
  });

  it("are only those that there are", () => {
    const given = { maxConnection: 2 } as unknown as Partial<ProxyLimits>;
    assert.throws(() => completeLimits(DEFAULT_LIMITS, given), {
      name: "RangeError",
      message: "there is no limit maxConnection",
    });
  });
});

describe("the buffer budget", () => {
  function holder(bytes: number, evicted: number[]): Holder & { heldBytes: number } {
    return { evict: () => evicted.push(bytes), heldBytes: bytes };
  }

  it("evicts the greediest until the rest fits", async () => {
    const budget = new BufferBudget(100);
    const evicted: number[] = [];
    for (const bytes of [30, 70, 10, 90]) {
      budget.add(holder(bytes, evicted));
    }
    await eventually(() => evicted.length > 0);
    assert.deepEqual(evicted, [90, 70]);
    assert.equal(budget.peakBytes, 200);
  });

  it("looks at what waits, not at what is over", async () => {
    const budget = new BufferBudget(100);
    const evicted: number[] = [];
    const over = holder(1000, evicted);
    const late = holder(1, evicted);
    budget.add(over);
    budget.add(late);
    budget.delete(over);
    await eventually(() => budget.peakBytes === 1);
    late.heldBytes = 101;
    await eventually(() => evicted.length > 0);
    assert.deepEqual(evicted, [1]);
  });
});

describe("header blocks", () => {
  it("keep repeated fields apart and lose what belongs to the hop", () => {
    const raw = [":path", "/x", "te", "trailers", "x-a", "1", "connection", "close", "x-a", "2"];
    assert.deepEqual(
      { ...forwardedFields([...raw, "x-a", "3", "host", "h", "x!", "4"]) },
      {
        te: "trailers",
        "x-a": ["1", "2", "3"],
      },
    );
  });

  it("are not confused by a field named like a property of every object", () => {
    const fields = forwardedFields(["__proto__", "1", "constructor", "2", "x", "3"]);
    assert.deepEqual(Object.keys(fields).sort(), ["__proto__", "constructor", "x"]);
  });

  it("always name the one method to the enclave", () => {
    const request = forwardedRequest({ ":path": "/other", ":method": "GET" }, [":path", "/other"]);
    assert.equal(request[":path"], "/sealrpc.v1.AttestedChannelService/Connect");
    assert.equal(request[":method"], "POST");
  });

  it("carry a gRPC status from 0 to 16, whatever the enclave sends", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.constantFrom("grpc-status", "x"), fc.string())), (pairs) => {
        const status = forwardedStatus(pairs.flat())["grpc-status"];
        assert.ok(typeof status === "string" && /^(?:\d|1[0-6])$/.test(status));
      }),
      { numRuns },
    );
    assert.equal(forwardedStatus(["grpc-status", "16"])["grpc-status"], "16");
    assert.equal(forwardedStatus(["grpc-status", "0", "grpc-status", "0"])["grpc-status"], "2");
  });

  it("escape the text of a status", () => {
    assert.equal(statusFields(14, "50 % ö\n")["grpc-message"], "50%20%25%20%C3%B6%0A");
  });
});
