import assert from "node:assert/strict";
import { AsyncLocalStorage } from "node:async_hooks";
import { EventEmitter, getEventListeners, once } from "node:events";
import { after, afterEach, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { CallCredentials, Metadata, status as Code } from "@grpc/grpc-js";

import { BehaviorService } from "#gen/behavior/v1/behavior_pb.js";
import type { VerifiedEvidence } from "../../attestation/verified-evidence.ts";
import { CallError } from "../../services/client/call-error.ts";
import { createClient } from "../../services/client/create-client.ts";
import type { Client } from "../../services/client/create-client.ts";
import { AttestedChannel } from "../../services/client/attested-channel.ts";
import type { AttestedChannelOptions } from "../../services/client/channel-options.ts";
import { codeOf, outcomeOf } from "../../services/client/status.ts";
import type { EnclaveServer } from "../../services/enclave/server.ts";
import { TestEnclave } from "../support/enclave.ts";
import { PlayedEnclave } from "../support/played-enclave.ts";

let enclave: TestEnclave;
let address = "";
const open: AttestedChannel[] = [];
/** What the handlers saw. */
const seen = { metadata: new Metadata(), cancelled: 0, received: 0, runs: 0 };

before(async () => {
  enclave = await TestEnclave.start(addHandlers);
  address = await enclave.server.listen("127.0.0.1:0");
});
after(async () => enclave.stop());
afterEach(() => {
  for (const channel of open.splice(0)) channel.close();
  Object.assign(seen, { cancelled: 0, received: 0, runs: 0 });
});

function addHandlers(server: EnclaveServer): void {
  server.addService(BehaviorService, {
    unary: (call, callback) => {
      seen.metadata = call.metadata;
      seen.runs += 1;
      const text = call.request.payload?.text ?? "";
      call.on("cancelled", () => (seen.cancelled += 1));
      if (text === "hold") return;
      if (text === "fail") {
        const metadata = new Metadata();
        metadata.set("why", "because");
        callback({ code: Code.NOT_FOUND, details: "no such", metadata });
        return;
      }
      const head = new Metadata();
      head.set("head", "1");
      call.sendMetadata(head);
      const trailer = new Metadata();
      trailer.set("tail", "2");
      callback(null, { payload: { text: `re: ${text}` } }, trailer);
    },
    collect: (call, callback) => {
      let count = 0;
      call.on("data", () => {
        count += 1;
        seen.received += 1;
      });
      call.on("end", () => callback(null, { payload: { number: count } }));
      call.on("error", () => {});
      call.on("cancelled", () => (seen.cancelled += 1));
    },
    expand: (call) => {
      const { number = 0 } = call.request.payload ?? {};
      call.on("cancelled", () => (seen.cancelled += 1));
      for (let i = 0; i < number; i += 1) call.write({ payload: { number: i } });
      if (call.request.payload?.text === "fail") {
        call.emit("error", { code: Code.ABORTED, details: "in the middle" });
      } else if (call.request.payload?.text !== "hold") call.end();
    },
    chat: (call) => {
      call.on("error", () => {});
      call.on("cancelled", () => (seen.cancelled += 1));
      call.on("data", (message) => {
        seen.received += 1;
        if (message.payload?.text === "stop") call.end();
        else call.write({ payload: { text: message.payload?.text ?? "" } });
      });
      call.on("end", () => call.end());
    },
  });
}

function clientOf(options: Partial<AttestedChannelOptions> = {}): Client<typeof BehaviorService> {
  const channel = new AttestedChannel(address, { policy: enclave.policy, ...options });
  open.push(channel);
  return createClient(BehaviorService, channel);
}

/** For assert.rejects: a CallError with that code and outcome. */
function ends(code: Code, outcome: string) {
  return (error: unknown): true => {
    assert.ok(error instanceof CallError, String(error));
    assert.equal(error.code, code, error.message);
    assert.equal(error.outcome, outcome);
    assert.equal(outcomeOf(error), outcome);
    assert.ok(error.message.startsWith(`${code} ${Code[code]}: `));
    return true;
  };
}

async function* of<Value>(...values: Value[]): AsyncGenerator<Value> {
  for (const value of values) {
    await sleep(0);
    yield value;
  }
}

describe("a typed unary call", () => {
  it("answers with a message", async () => {
    const { payload } = await clientOf().unary({ payload: { text: "hello" } });
    assert.equal(payload?.text, "re: hello");
  });

  it("shows the evidence, the headers and the trailers, in this order", async () => {
    const shown: string[] = [];
    await clientOf().unary(
      {},
      {
        onEvidence: (evidence: VerifiedEvidence) =>
          shown.push(evidence.claims.moduleId.slice(0, 2)),
        onHeaders: (metadata) => shown.push(String(metadata.get("head")[0])),
        onTrailers: (metadata) => shown.push(String(metadata.get("tail")[0])),
      },
    );
    assert.deepEqual(shown, ["i-", "1", "2"]);
  });

  it("calls back in its own asynchronous context, and survives what that throws", async () => {
    const client = clientOf();
    const storage = new AsyncLocalStorage<string>();
    const stores: unknown[] = [];
    const thrown: string[] = [];
    process.setUncaughtExceptionCaptureCallback((error) => thrown.push(error.message));
    try {
      await Promise.all(
        ["one", "two"].map(async (name) =>
          storage.run(name, async () =>
            client.unary(
              {},
              {
                onHeaders: () => {
                  stores.push(storage.getStore());
                  throw new Error(name);
                },
              },
            ),
          ),
        ),
      );
      await sleep(1);
    } finally {
      process.setUncaughtExceptionCaptureCallback(null);
    }
    assert.deepEqual(stores, ["one", "two"]);
    assert.deepEqual(thrown, ["one", "two"]);
  });

  it("sends metadata, and credentials of the channel with it", async () => {
    const callCredentials = CallCredentials.createFromMetadataGenerator((_options, callback) => {
      const metadata = new Metadata();
      metadata.set("authorization", "token");
      callback(null, metadata);
    });
    const metadata = new Metadata();
    metadata.set("own", "1");
    await clientOf({ callCredentials }).unary({}, { metadata });
    assert.deepEqual(seen.metadata.get("own"), ["1"]);
    assert.deepEqual(seen.metadata.get("authorization"), ["token"]);
    assert.match(String(seen.metadata.get("user-agent")[0]), /^sealrpc-node\//);
    assert.deepEqual(metadata.get("authorization"), []);
  });

  it("ends as credentials that fail say", async () => {
    const callCredentials = CallCredentials.createFromMetadataGenerator((_options, callback) => {
      callback(Object.assign(new Error("no token"), { code: Code.PERMISSION_DENIED }));
    });
    await assert.rejects(
      clientOf({ callCredentials }).unary({}),
      ends(Code.PERMISSION_DENIED, "not-executed"),
    );
    assert.equal(seen.runs, 0);
  });

  it("ends with its deadline when credentials never come", async () => {
    const callCredentials = CallCredentials.createFromMetadataGenerator(() => {});
    await assert.rejects(
      clientOf({ callCredentials }).unary({}, { timeoutMs: 20 }),
      ends(Code.DEADLINE_EXCEEDED, "not-executed"),
    );
  });

  it("wants a timeout that is a time", async () => {
    await assert.rejects(clientOf().unary({}, { timeoutMs: Number.NaN }), TypeError);
  });

  it("rejects with code, details, metadata and outcome", async () => {
    const trailers: Metadata[] = [];
    const call = clientOf().unary(
      { payload: { text: "fail" } },
      { onTrailers: (metadata) => trailers.push(metadata) },
    );
    await assert.rejects(call, (error: CallError) => {
      assert.equal(error.details, "no such");
      assert.deepEqual(error.metadata.get("why"), ["because"]);
      return ends(Code.NOT_FOUND, "executed")(error);
    });
    assert.deepEqual(trailers[0]?.get("why"), ["because"]);
  });

  it("is refused for a method that is missing, before it runs", async () => {
    await assert.rejects(clientOf().missing({}), (error) => {
      assert.equal(codeOf(error), "refused");
      return ends(Code.UNIMPLEMENTED, "not-executed")(error);
    });
  });

  it("takes only messages", async () => {
    const client = clientOf();
    for (const request of [undefined, null, 5, "text", Promise.resolve({})]) {
      await assert.rejects(client.unary(request as never), TypeError);
    }
    assert.throws(() => client.expand(undefined as never), TypeError);
    assert.equal(seen.runs, 0);
  });

  it("ends with its deadline, and the handler hears of it", async () => {
    const client = clientOf();
    await client.unary({});
    const call = client.unary({ payload: { text: "hold" } }, { timeoutMs: 500 });
    await assert.rejects(call, (error: CallError) => {
      assert.equal(error.code, Code.DEADLINE_EXCEEDED);
      // Either clock may be first: the enclave's says that the handler ran.
      assert.notEqual(error.outcome, "not-executed");
      return true;
    });
    while (seen.cancelled === 0) await sleep(5);
  });

  it("ends with its signal, and the handler hears of it", async () => {
    const controller = new AbortController();
    const { signal } = controller;
    const call = clientOf().unary({ payload: { text: "hold" } }, { signal });
    while (seen.runs === 0) await sleep(5);
    const reason = new Error("enough");
    controller.abort(reason);
    await assert.rejects(call, (error: CallError) => {
      assert.equal(error.cause, reason);
      return ends(Code.CANCELLED, "unknown")(error);
    });
    while (seen.cancelled === 0) await sleep(5);
    assert.equal(getEventListeners(signal, "abort").length, 0);
  });

  it("lets go of its signal when it ends", async () => {
    const { signal } = new AbortController();
    await clientOf().unary({}, { signal });
    assert.equal(getEventListeners(signal, "abort").length, 0);
  });

  it("does not begin when its signal is aborted already", async () => {
    const call = clientOf().unary({}, { signal: AbortSignal.abort() });
    await assert.rejects(call, ends(Code.CANCELLED, "not-executed"));
    assert.equal(seen.runs, 0);
  });

  it("keeps to the limits of its channel", async () => {
    const small = clientOf({ maxSendMessageBytes: 10, maxReceiveMessageBytes: 100 });
    await assert.rejects(
      small.unary({ payload: { text: "longer than ten" } }),
      ends(Code.RESOURCE_EXHAUSTED, "not-executed"),
    );
    const text = "x".repeat(200);
    await assert.rejects(
      clientOf({ maxReceiveMessageBytes: 100 }).unary({ payload: { text } }),
      ends(Code.RESOURCE_EXHAUSTED, "unknown"),
    );
  });

  it("is an error when there are two answers, or none", async () => {
    const played = await PlayedEnclave.start();
    const channel = new AttestedChannel(played.address, { policy: played.policy });
    open.push(channel);
    const client = createClient(BehaviorService, channel);
    try {
      for (const [answers, text] of [
        [2, /Too many/],
        [0, /No message/],
      ] as const) {
        played.onCall = (call) => {
          call.start(false, performance.now());
          call.sendHeaders({ metadata: [], encoding: "" });
          for (let sent = 0; sent < answers; sent += 1) call.sendMessage(new Uint8Array(0));
          call.end({ code: 0, message: "", trailers: [] });
          call.release();
          return { onMessage: () => {}, onHalfClose: () => {}, onCancel: () => {} };
        };
        await assert.rejects(client.unary({}), (error: CallError) => {
          assert.equal(error.code, Code.UNIMPLEMENTED);
          assert.match(error.details, text);
          return true;
        });
      }
    } finally {
      played.stop();
    }
  });

  it("wants an attested channel", () => {
    assert.throws(() => createClient(BehaviorService, {} as never), TypeError);
  });
});

describe("a typed client-streaming call", () => {
  it("sends all that is yielded", async () => {
    const client = clientOf();
    assert.equal((await client.collect(of({}, {}, {}))).payload?.number, 3);
    assert.equal((await client.collect([{}, {}])).payload?.number, 2);
    assert.equal((await client.collect([])).payload?.number, 0);
  });

  it("is cancelled when its requests fail, and says why", async () => {
    const broken = (async function* () {
      yield {};
      await sleep(0);
      throw new Error("no more");
    })();
    await assert.rejects(clientOf().collect(broken), (error: CallError) => {
      assert.match(String(error.cause), /no more/);
      return ends(Code.CANCELLED, "unknown")(error);
    });
    while (seen.cancelled === 0) await sleep(5);
  });

  it("tells its requests that it is over while they wait", async () => {
    const returned = new EventEmitter();
    const silent = {
      [Symbol.asyncIterator]: () => ({
        next: async () => new Promise<never>(() => {}),
        return: async () => {
          returned.emit("return");
          return { done: true as const, value: undefined };
        },
      }),
    };
    const told = once(returned, "return");
    const call = clientOf().collect(silent, { timeoutMs: 20 });
    await assert.rejects(call, { code: Code.DEADLINE_EXCEEDED });
    await told;
  });

  it("lets a generator of requests clean up, in its own asynchronous context", async () => {
    const storage = new AsyncLocalStorage<string>();
    const cleaned = new EventEmitter();
    const requests = (async function* () {
      try {
        for (;;) yield {};
      } finally {
        cleaned.emit("context", storage.getStore());
      }
    })();
    const context = once(cleaned, "context");
    const call = storage.run("mine", async () => clientOf().collect(requests, { timeoutMs: 20 }));
    await assert.rejects(call, { code: Code.DEADLINE_EXCEEDED });
    assert.deepEqual(await context, ["mine"]);
  });

  it("does not return what ended by itself", async () => {
    let returns = 0;
    const ended = {
      [Symbol.iterator]: () => ({
        next: () => ({ done: true as const, value: undefined }),
        return: () => {
          returns += 1;
          return { done: true as const, value: undefined };
        },
      }),
    };
    assert.equal((await clientOf().collect(ended)).payload?.number, 0);
    await sleep(0);
    assert.equal(returns, 0);
  });

  it("asks for requests as fast as the enclave takes them", async () => {
    let asked = 0;
    const text = "x".repeat(64 * 1024);
    const requests = (function* () {
      for (; asked < 100; asked += 1) yield { payload: { text } };
    })();
    const call = clientOf().collect(requests);
    // A request is asked for only when the one before was taken.
    assert.ok(asked < 100);
    assert.equal((await call).payload?.number, 100);
  });
});

describe("a typed stream of answers", () => {
  it("is iterated to its end", async () => {
    const numbers: (number | undefined)[] = [];
    for await (const { payload } of clientOf().expand({ payload: { number: 50 } })) {
      numbers.push(payload?.number);
    }
    assert.deepEqual(
      numbers,
      Array.from({ length: 50 }, (_, index) => index),
    );
  });

  it("throws where the call ended, after what came before", async () => {
    let count = 0;
    const iterate = async (): Promise<void> => {
      const request = { payload: { text: "fail", number: 3 } };
      for await (const _ of clientOf().expand(request)) count += 1;
    };
    await assert.rejects(iterate, ends(Code.ABORTED, "executed"));
    assert.ok(count <= 3);
  });

  it("is cancelled when iteration stops early", async () => {
    const request = { payload: { text: "hold", number: 2 } };
    for await (const { payload } of clientOf().expand(request)) {
      assert.equal(payload?.number, 0);
      break;
    }
    while (seen.cancelled === 0) await sleep(5);
  });

  it("starts when it is iterated", async () => {
    const channel = new AttestedChannel(address, { policy: enclave.policy });
    open.push(channel);
    createClient(BehaviorService, channel).expand({});
    await sleep(20);
    assert.equal(channel.getConnectivityState(false), 0);
  });

  it("ends with its signal", async () => {
    const controller = new AbortController();
    const iterate = async (): Promise<void> => {
      const options = { signal: controller.signal };
      const request = { payload: { text: "hold", number: 1 } };
      for await (const _ of clientOf().expand(request, options)) controller.abort();
    };
    await assert.rejects(iterate, ends(Code.CANCELLED, "unknown"));
  });
});

describe("a typed bidirectional call", () => {
  it("sends and receives in turn", async () => {
    const texts: (string | undefined)[] = [];
    const requests = of({ payload: { text: "a" } }, { payload: { text: "b" } });
    for await (const { payload } of clientOf().chat(requests)) texts.push(payload?.text);
    assert.deepEqual(texts, ["a", "b"]);
  });

  it("asks for no more requests once the enclave has ended it", async () => {
    let asked = 0;
    const endless = (async function* () {
      for (;;) {
        asked += 1;
        yield { payload: { text: asked === 3 ? "stop" : "" } };
        await sleep(1);
      }
    })();
    for await (const _ of clientOf().chat(endless));
    const before = asked;
    await sleep(50);
    assert.ok(asked <= before + 2);
  });
});
