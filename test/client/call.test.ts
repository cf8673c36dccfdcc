import assert from "node:assert/strict";
import { AsyncLocalStorage } from "node:async_hooks";
import { EventEmitter } from "node:events";
import { describe, it } from "node:test";
import { deflateSync, gzipSync } from "node:zlib";

import { Client, Metadata, credentials, propagate, status as Code } from "@grpc/grpc-js";
import type { CallOptions, InterceptingListener, ServiceError, StatusObject } from "@grpc/grpc-js";

import type { VerifiedEvidence } from "../../attestation/verified-evidence.ts";
import type { ParentCall } from "../../services/client/call-deadline.ts";
import { outcomeOf } from "../../services/client/status.ts";
import { FakeChannel, lastCall } from "../support/fake-channel.ts";

const asIs = (value: Buffer): Buffer => value;
const OK = { kind: "status", status: { code: 0, message: "", trailers: [] } } as const;
const nextTurn = async (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function clientOf(channel: FakeChannel): Client {
  return new Client("ignored", credentials.createInsecure(), { channelOverride: channel });
}

interface Result {
  readonly error: ServiceError | null;
  readonly value: Buffer | undefined;
}

/** A unary call of a stub; what its callback was called with. */
function unary(
  channel: FakeChannel,
  metadata = new Metadata(),
  options: CallOptions = {},
  deserialize = asIs,
) {
  const results: Result[] = [];
  const events: string[] = [];
  const call = clientOf(channel).makeUnaryRequest(
    "/a.B/C",
    asIs,
    deserialize,
    Buffer.from("request"),
    metadata,
    options,
    (error, value) => {
      events.push("callback");
      results.push({ error, value });
    },
  );
  call.on("metadata", () => events.push("metadata"));
  call.on("status", () => events.push("status"));
  return { call, results, events };
}

/** A listener that keeps what it hears. */
function listen(then: Partial<InterceptingListener> = {}) {
  const heard: string[] = [];
  const statuses: StatusObject[] = [];
  const listener: InterceptingListener = {
    onReceiveMetadata: (metadata) => {
      heard.push("metadata");
      then.onReceiveMetadata?.(metadata);
    },
    onReceiveMessage: (message: Buffer) => {
      heard.push(String(message));
      then.onReceiveMessage?.(message);
    },
    onReceiveStatus: (status) => {
      heard.push(`status ${status.code}`);
      statuses.push(status);
      then.onReceiveStatus?.(status);
    },
  };
  return { heard, statuses, listener };
}

function start(channel: FakeChannel, listener: InterceptingListener, metadata = new Metadata()) {
  const call = channel.createCall("/a.B/C", Infinity, null, null, null);
  call.start(metadata, listener);
  return call;
}

describe("a stub's unary call", () => {
  it("gets its metadata, its answer and its status, in this order", async () => {
    const channel = new FakeChannel();
    const session = channel.open();
    const { results, events } = unary(channel);
    const fake = lastCall(session);
    assert.deepEqual(fake.messages, ["request"]);
    assert.equal(fake.options.method, "/a.B/C");
    assert.equal(fake.options.authority, "target:443");
    fake.answer("reply");
    fake.end(OK);
    await nextTurn();
    assert.equal(String(results[0]?.value), "reply");
    assert.deepEqual(events, ["metadata", "callback", "status"]);
  });

  it("gets no metadata with a bare status", async () => {
    const channel = new FakeChannel();
    const session = channel.open();
    const { results, events } = unary(channel);
    const status = { code: Code.NOT_FOUND, message: "no such", trailers: [] };
    lastCall(session).end({ kind: "status", status });
    await nextTurn();
    assert.deepEqual(events, ["callback", "status"]);
    assert.equal(results[0]?.error?.code, Code.NOT_FOUND);
    assert.equal(results[0]?.error?.details, "no such");
    assert.equal(outcomeOf(results[0]?.error), "executed");
  });

  it("ends INTERNAL and is cancelled when its answer does not parse", async () => {
    const channel = new FakeChannel();
    const session = channel.open();
    const { results } = unary(channel, undefined, undefined, () => {
      throw new Error("not mine");
    });
    lastCall(session).answer("reply");
    await nextTurn();
    assert.equal(results.length, 1);
    assert.equal(results[0]?.error?.code, Code.INTERNAL);
    assert.match(results[0]?.error?.details ?? "", /parsing error: not mine/);
    assert.ok(lastCall(session).isCancelled);
  });

  it("knows the evidence and the address of its session", async () => {
    const channel = new FakeChannel();
    const evidence = {} as VerifiedEvidence;
    const { call } = unary(channel);
    assert.equal(call.getAuthContext(), null);
    assert.equal(call.getPeer(), "dns:///target");
    const session = channel.connector.last.succeed((fake) => {
      fake.evidence = evidence;
    });
    assert.deepEqual(call.getAuthContext(), { transportSecurityType: "sealrpc", evidence });
    assert.equal(call.getPeer(), "127.0.0.1:1");
    lastCall(session).end(OK);
    await nextTurn();
  });

  it("waits for a session with waitForReady, and fails without", async () => {
    const channel = new FakeChannel();
    const patient = unary(channel, new Metadata({ waitForReady: true }));
    const hasty = unary(channel);
    channel.connector.last.fail(new Error("away"));
    await nextTurn();
    assert.equal(patient.results.length, 0);
    assert.equal(hasty.results[0]?.error?.code, Code.INTERNAL);
    patient.call.cancel();
    await nextTurn();
    assert.equal(patient.results[0]?.error?.code, Code.CANCELLED);
    assert.equal(outcomeOf(patient.results[0]?.error), "not-executed");
    channel.close();
  });
});

describe("the listener of a call", () => {
  it("is called on the next tick, never from inside the session", async () => {
    const channel = new FakeChannel();
    const session = channel.open();
    const { heard, listener } = listen();
    const call = start(channel, listener);
    call.startRead();
    const fake = lastCall(session);
    fake.answer("reply");
    fake.end(OK);
    assert.deepEqual(heard, []);
    await nextTurn();
    assert.deepEqual(heard, ["metadata", "reply", "status 0"]);
  });

  it("hears nothing but the status after cancelWithStatus, and that once", async () => {
    const channel = new FakeChannel();
    const session = channel.open();
    const { heard, statuses, listener } = listen({
      onReceiveMessage: () => {
        call.cancelWithStatus(Code.ABORTED, "enough");
        call.cancelWithStatus(Code.INTERNAL, "again");
      },
    });
    const call = start(channel, listener);
    call.startRead();
    lastCall(session).answer("one", "two");
    await nextTurn();
    lastCall(session).end(OK);
    await nextTurn();
    assert.deepEqual(heard, ["metadata", "one", `status ${Code.ABORTED}`]);
    assert.equal(statuses[0]?.details, "enough");
    assert.equal(outcomeOf(statuses[0]), "unknown");
  });

  it("hears a cancel that came after END as that, and that the handler ran", async () => {
    const channel = new FakeChannel();
    const session = channel.open();
    const { heard, statuses, listener } = listen();
    const call = start(channel, listener);
    lastCall(session).end(OK);
    call.cancelWithStatus(Code.CANCELLED, "enough");
    await nextTurn();
    assert.deepEqual(heard, [`status ${Code.CANCELLED}`]);
    assert.equal(outcomeOf(statuses[0]), "executed");
  });

  it("may throw: the process hears of it, and everything else is delivered", async () => {
    const channel = new FakeChannel();
    const session = channel.open();
    const thrown: unknown[] = [];
    const broken = listen({
      onReceiveMetadata: () => {
        throw new Error("metadata");
      },
      onReceiveStatus: () => {
        throw new Error("status");
      },
    });
    const whole = listen();
    const calls = [start(channel, broken.listener), start(channel, whole.listener)];
    for (const call of calls) call.startRead();
    process.setUncaughtExceptionCaptureCallback((error) => thrown.push(error.message));
    try {
      for (const fake of session.calls) {
        fake.answer("reply");
        fake.end(OK);
      }
      await nextTurn();
      await nextTurn();
    } finally {
      process.setUncaughtExceptionCaptureCallback(null);
    }
    assert.deepEqual(broken.heard, ["metadata", "reply", "status 0"]);
    assert.deepEqual(whole.heard, ["metadata", "reply", "status 0"]);
    assert.deepEqual(thrown, ["metadata", "status"]);
  });

  it("is called in the asynchronous context of its call", async () => {
    const channel = new FakeChannel();
    const session = channel.open();
    const storage = new AsyncLocalStorage<string>();
    const contexts: (string | undefined)[] = [];
    for (const name of ["one", "two"]) {
      storage.run(name, () => {
        const { listener } = listen({ onReceiveStatus: () => contexts.push(storage.getStore()) });
        start(channel, listener);
      });
    }
    for (const fake of session.calls) fake.end(OK);
    await nextTurn();
    assert.deepEqual(contexts, ["one", "two"]);
  });

  it("hears of metadata that gRPC does not allow as INTERNAL", async () => {
    const channel = new FakeChannel();
    const session = channel.open();
    const { heard, listener } = listen();
    start(channel, listener);
    const metadata = [{ key: "Upper", value: Buffer.from("x") }];
    lastCall(session).events.onHeaders({ metadata, encoding: "" });
    await nextTurn();
    assert.deepEqual(heard, [`status ${Code.INTERNAL}`]);
    assert.ok(lastCall(session).isCancelled);
  });

  it("hears of trailers that gRPC does not allow as INTERNAL, executed", async () => {
    const channel = new FakeChannel();
    const session = channel.open();
    const { statuses, listener } = listen();
    start(channel, listener);
    const trailers = [{ key: "a", value: Buffer.from("\u0000") }];
    lastCall(session).end({ kind: "status", status: { code: 0, message: "", trailers } });
    await nextTurn();
    assert.equal(statuses[0]?.code, Code.INTERNAL);
    assert.equal(outcomeOf(statuses[0]), "executed");
  });
});

describe("what a call sends", () => {
  it("is a copy of its metadata, with the channel's user agent", () => {
    const channel = new FakeChannel();
    const session = channel.open();
    const metadata = new Metadata();
    const raw = Buffer.from([0, 255]);
    metadata.add("a", "1");
    metadata.add("a", "2");
    metadata.add("raw-bin", raw);
    metadata.set("user-agent", "mine");
    metadata.set("grpc-timeout", "1S");
    metadata.set("sealrpc-outcome", "executed");
    start(channel, listen().listener, metadata);
    metadata.set("a", "changed");
    raw.fill(7);
    const sent = lastCall(session).options.metadata.map(
      ({ key, value }) => `${key}=${Buffer.from(value).toString("latin1")}`,
    );
    assert.deepEqual(sent, ["a=1", "a=2", "raw-bin=\u0000\u00ff", "user-agent=agent/1"]);
  });

  it("is refused beyond the send limit, unsealed or not", async () => {
    const channel = new FakeChannel({ maxSendMessageBytes: 3 });
    const session = channel.open();
    const { statuses, listener } = listen();
    const call = start(channel, listener);
    let taken = 0;
    call.sendMessageWithContext({}, Buffer.from("123"));
    call.sendMessageWithContext({ callback: () => (taken += 1) }, Buffer.from("1234"));
    await nextTurn();
    assert.deepEqual(lastCall(session).messages, ["123"]);
    assert.equal(statuses[0]?.code, Code.RESOURCE_EXHAUSTED);
    assert.match(statuses[0]?.details ?? "", /larger than 3/);
    assert.equal(taken, 1);
  });

  it("keeps a callback that throws out of the session", async () => {
    const channel = new FakeChannel();
    const session = channel.open((fake) => {
      fake.takes = false;
    });
    const call = start(channel, listen().listener);
    call.sendMessageWithContext(
      {
        callback: () => {
          throw new Error("drain");
        },
      },
      Buffer.from("1"),
    );
    const thrown: string[] = [];
    process.setUncaughtExceptionCaptureCallback((error) => thrown.push(error.message));
    try {
      lastCall(session).untaken[0]?.();
      await nextTurn();
    } finally {
      process.setUncaughtExceptionCaptureCallback(null);
    }
    assert.deepEqual(thrown, ["drain"]);
  });

  it("may be asked for before the call is started", async () => {
    const channel = new FakeChannel();
    const session = channel.open();
    const { listener } = listen();
    const call = channel.createCall("/a.B/C", Infinity, null, null, null);
    call.startRead();
    call.sendMessageWithContext({}, Buffer.from("early"));
    call.halfClose();
    call.start(new Metadata(), listener);
    const fake = lastCall(session);
    assert.deepEqual(fake.messages, ["early"]);
    assert.equal(fake.reads, 1);
    assert.ok(fake.isHalfClosed);
  });
});

describe("an answer that is compressed", () => {
  const text = "x".repeat(1000);
  const rows: [string, Buffer, Code][] = [
    ["gzip", gzipSync(text), Code.OK],
    ["deflate", deflateSync(text), Code.OK],
    ["gzip", gzipSync("x".repeat(1025)), Code.RESOURCE_EXHAUSTED],
    ["gzip", Buffer.from("no gzip"), Code.INTERNAL],
    ["snappy", Buffer.from(""), Code.UNIMPLEMENTED],
    ["", Buffer.from(""), Code.INTERNAL],
  ];
  for (const [encoding, message, code] of rows) {
    it(`of ${message.length} bytes in "${encoding}" ends ${Code[code]}`, async () => {
      const channel = new FakeChannel();
      const session = channel.open();
      const { heard, statuses, listener } = listen();
      start(channel, listener).startRead();
      const fake = lastCall(session);
      fake.events.onHeaders({ metadata: [], encoding });
      fake.events.onMessage(message, true);
      fake.end(OK);
      await nextTurn();
      assert.equal(statuses[0]?.code, code);
      assert.equal(heard.includes(text), code === Code.OK);
    });
  }
});

describe("the deadline of a call", () => {
  const createCall = (
    channel: FakeChannel,
    deadline: Date | number,
    parent: ParentCall | null = null,
    flags: number | null = null,
  ): number => {
    const session = channel.open();
    const call = channel.createCall("/a.B/C", deadline, null, parent, flags);
    call.start(new Metadata(), listen().listener);
    return lastCall(session).options.deadlineMs;
  };
  const leftMs = (deadlineMs: number): number => deadlineMs - performance.now();

  it("counts from the creation of the call, as a date or a number", () => {
    for (const deadline of [Date.now() + 60_000, new Date(Date.now() + 60_000)]) {
      const left = leftMs(createCall(new FakeChannel(), deadline));
      assert.ok(left > 50_000 && left <= 60_001);
    }
  });

  it("is none for Infinity and for what no field can hold", () => {
    assert.equal(createCall(new FakeChannel(), Infinity), Infinity);
    assert.equal(createCall(new FakeChannel(), Number.MAX_VALUE), Infinity);
  });

  it("is refused when it is no time", () => {
    const channel = new FakeChannel();
    assert.throws(() => channel.createCall("/a.B/C", new Date("x"), null, null, null), TypeError);
  });

  it("is the parent's when that is earlier, unless told otherwise", () => {
    const parent = Object.assign(new EventEmitter(), {
      cancelled: false,
      getDeadline: () => Date.now() + 1_000,
    }) as unknown as ParentCall;
    assert.ok(leftMs(createCall(new FakeChannel(), Infinity, parent)) <= 1_001);
    assert.equal(createCall(new FakeChannel(), Infinity, parent, propagate.CANCELLATION), Infinity);
  });
});

describe("a call in the course of another", () => {
  const parentCall = (cancelled = false): ParentCall & EventEmitter =>
    Object.assign(new EventEmitter(), {
      cancelled,
      getDeadline: () => Infinity,
    }) as unknown as ParentCall & EventEmitter;

  it("is cancelled with it, and lets go of it afterwards", async () => {
    const channel = new FakeChannel();
    const session = channel.open();
    const parent = parentCall();
    const { statuses, listener } = listen();
    channel.createCall("/a.B/C", Infinity, null, parent, null).start(new Metadata(), listener);
    assert.equal(parent.listenerCount("cancelled"), 1);
    parent.emit("cancelled", "cancelled");
    await nextTurn();
    assert.equal(statuses[0]?.code, Code.CANCELLED);
    assert.ok(lastCall(session).isCancelled);
    assert.equal(parent.listenerCount("cancelled"), 0);
  });

  it("does not begin when that is cancelled already", async () => {
    const channel = new FakeChannel();
    const session = channel.open();
    const { statuses, listener } = listen();
    channel
      .createCall("/a.B/C", Infinity, null, parentCall(true), null)
      .start(new Metadata(), listener);
    await nextTurn();
    assert.equal(statuses[0]?.code, Code.CANCELLED);
    assert.equal(outcomeOf(statuses[0]), "not-executed");
    assert.equal(session.opened.length, 0);
  });

  it("goes on without it when told so", () => {
    const channel = new FakeChannel();
    const session = channel.open();
    const parent = parentCall();
    channel
      .createCall("/a.B/C", Infinity, null, parent, propagate.DEADLINE)
      .start(new Metadata(), listen().listener);
    parent.emit("cancelled", "cancelled");
    assert.ok(!lastCall(session).isCancelled);
  });
});
