import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { deflateSync, gzipSync } from "node:zlib";

import { Metadata, status as Code } from "@grpc/grpc-js";
import type { sendUnaryData, ServerUnaryCall } from "@grpc/grpc-js";

import type { BehaviorService, UnaryRequest } from "#gen/behavior/v1/behavior_pb.js";
import type { Handlers } from "../../services/enclave/handlers.ts";
import { Dispatch, request, response, settle, textsOf } from "../support/dispatch.ts";
import { FakeCall } from "../support/fake-call.ts";

type Unary = NonNullable<Handlers<typeof BehaviorService>["unary"]>;

const echo: Unary = (call, callback) => callback(null, response(call.request.payload?.text ?? ""));

/** One whole call of a handler. */
function run(unary: Unary, settings = {}): FakeCall {
  return new Dispatch({ unary }, settings).open("Unary").deliver(request("x")).clientEnd();
}

describe("a unary call", () => {
  it("starts when the request is whole and leaves headers, message and status in one go", () => {
    const call = new Dispatch({ unary: echo }).open("Unary").deliver(request("Grüße"));
    assert.deepEqual(call.did, []);
    call.clientEnd();
    assert.deepEqual(call.did, ["start(true)", "headers", "message", "end"]);
    assert.deepEqual(textsOf(call), ["Grüße"]);
    assert.deepEqual(call.status, { code: 0, message: "OK", trailers: [] });
  });

  it("shows the handler request, metadata, path, host and deadline", () => {
    let seen: ServerUnaryCall<UnaryRequest, unknown> | undefined;
    const unary: Unary = (call) => {
      seen = call;
    };
    const metadata = [{ key: "x-key", value: Buffer.from("value") }];
    const call = new FakeCall(performance.now() + 10_000);
    new Dispatch({ unary })
      .open("Unary", { metadata, authority: "a.example" }, call)
      .deliver(request("x"))
      .clientEnd();
    assert.equal(seen?.request.payload?.text, "x");
    assert.deepEqual(seen.metadata.get("x-key"), ["value"]);
    assert.equal(seen.getPath(), "/behavior.v1.BehaviorService/Unary");
    assert.equal(seen.getHost(), "a.example");
    assert.equal(seen.getPeer(), "unknown");
    const deadline = Number(seen.getDeadline());
    assert.ok(Math.abs(deadline - Date.now() - 10_000) < 2_000, `deadline ${deadline}`);
    seen.getMetricsRecorder().recordQpsMetric(1);
  });

  it("has a deadline of Infinity when the client set none", () => {
    let deadline: unknown;
    run((call) => {
      deadline = call.getDeadline();
    });
    assert.equal(deadline, Infinity);
  });

  it("does not run the handler when the start is refused", () => {
    const call = new FakeCall();
    call.admits = false;
    let ran = false;
    const unary: Unary = () => {
      ran = true;
    };
    new Dispatch({ unary }).open("Unary", {}, call).deliver(request("x")).clientEnd();
    assert.equal(ran, false);
    assert.deepEqual(call.did, ["start(true)"]);
  });

  it("sends metadata once, early, and trailers with the status", () => {
    const call = run((call, callback) => {
      const first = new Metadata();
      first.add("x-header", "1");
      call.sendMetadata(first);
      const second = new Metadata();
      second.add("x-header", "2");
      call.sendMetadata(second);
      const trailers = new Metadata();
      trailers.add("x-raw-bin", Buffer.from([0, 255, 1]));
      callback(null, response("x"), trailers);
    });
    assert.deepEqual(call.did, ["start(true)", "headers", "message", "end"]);
    assert.deepEqual(call.header?.metadata, [{ key: "x-header", value: Buffer.from("1") }]);
    assert.deepEqual(call.status?.trailers, [
      { key: "x-raw-bin", value: Buffer.from([0, 255, 1]) },
    ]);
  });

  it("ignores a second answer", () => {
    const call = run((_call, callback) => {
      callback(null, response("first"));
      callback(null, response("second"));
    });
    assert.deepEqual(textsOf(call), ["first"]);
  });

  it("fires cancelled and sets the flag after a good end too", async () => {
    let flag: boolean | undefined;
    run((call, callback) => {
      call.on("cancelled", () => {
        flag = call.cancelled;
      });
      callback(null, response("x"));
    });
    assert.equal(flag, undefined);
    await settle();
    assert.equal(flag, true);
  });

  it("fires cancelled when the client cancels, and drops the answer", () => {
    let heard = 0;
    let answer: sendUnaryData<ReturnType<typeof response>> | undefined;
    const call = run((call, callback) => {
      call.on("cancelled", () => (heard += 1));
      answer = callback;
    });
    call.clientCancel();
    assert.equal(heard, 1);
    answer?.(null, response("late"));
    assert.deepEqual(call.did, ["start(true)"]);
  });

  it("does not run when the client cancels before its end", () => {
    let ran = false;
    const call = new Dispatch({ unary: () => void (ran = true) }).open("Unary");
    call.deliver(request("x")).clientCancel().clientEnd();
    assert.equal(ran, false);
    assert.deepEqual(call.did, []);
  });
});

describe("a unary call that goes wrong", () => {
  const errors: [string, unknown, { code: number; message: string }][] = [
    ["an error", new Error("why"), { code: Code.UNKNOWN, message: "why" }],
    [
      "an integer code and details",
      Object.assign(new Error("m"), { code: Code.NOT_FOUND, details: "d" }),
      { code: Code.NOT_FOUND, message: "d" },
    ],
    ["a code without details", { code: Code.ABORTED }, { code: 10, message: "Unknown Error" }],
    [
      "a code that is a text",
      Object.assign(new Error("no such file"), { code: "ENOENT" }),
      { code: Code.UNKNOWN, message: "no such file" },
    ],
    ["code 0", { code: 0, details: "fine" }, { code: Code.OK, message: "fine" }],
    ["a code beyond gRPC's", { code: 99, details: "d" }, { code: Code.UNKNOWN, message: "d" }],
    ["a code below gRPC's", { code: -1, details: "d" }, { code: Code.UNKNOWN, message: "d" }],
    ["what is no object", "text", { code: Code.UNKNOWN, message: "Unknown error" }],
  ];
  for (const [what, error, expected] of errors) {
    it(`answers ${what} with its status and no message`, () => {
      const call = run((_call, callback) => callback(error as Error));
      assert.deepEqual(call.status, { ...expected, trailers: [] });
      assert.deepEqual(call.messages, []);
    });

    it(`answers ${what} that is emitted the same`, () => {
      const call = run((call) => void call.emit("error", error));
      assert.deepEqual(call.status, { ...expected, trailers: [] });
    });
  }

  it("sends an error's metadata, and the callback's trailers rather than it", () => {
    const of = (value: string): Metadata => {
      const metadata = new Metadata();
      metadata.add("x-from", value);
      return metadata;
    };
    const error = Object.assign(new Error("x"), { metadata: of("error") });
    const plain = run((_call, callback) => callback(error));
    assert.deepEqual(plain.status?.trailers, [{ key: "x-from", value: Buffer.from("error") }]);
    const both = run((_call, callback) => callback(error, null, of("callback")));
    assert.deepEqual(both.status?.trailers, [{ key: "x-from", value: Buffer.from("callback") }]);
  });

  const hidden = { code: Code.UNKNOWN, message: "Unknown error", trailers: [] };

  it("hides what a handler throws, and tells it inside", () => {
    const error = new Error("a secret");
    const dispatch = new Dispatch({
      unary: () => {
        throw error;
      },
    });
    const call = dispatch.open("Unary").deliver(request("x")).clientEnd();
    assert.deepEqual(call.status, hidden);
    assert.deepEqual(dispatch.errors, [error]);
  });

  it("answers a rejected async handler the same", async () => {
    const call = run(async () => {
      await settle();
      throw Object.assign(new Error("a secret"), { code: Code.NOT_FOUND });
    });
    assert.equal(call.status, undefined);
    await settle();
    await settle();
    assert.deepEqual(call.status, hidden);
  });

  it("survives a throw in a listener of cancelled", () => {
    const dispatch = new Dispatch({
      unary: (call) =>
        void call.on("cancelled", () => {
          throw new Error("in a listener");
        }),
    });
    dispatch.open("Unary").deliver(request("x")).clientEnd().clientCancel();
    assert.equal(dispatch.errors.length, 1);
  });

  it("answers INTERNAL, without the text, when the response does not serialize", () => {
    const call = run((_call, callback) => callback(null, undefined));
    assert.deepEqual(call.status, {
      code: Code.INTERNAL,
      message: "Error serializing response",
      trailers: [],
    });
    assert.deepEqual(call.messages, []);
  });

  it("goes on when whoever is told of errors throws", () => {
    const onHandlerError = (): void => {
      throw new Error("no logger");
    };
    const call = run(
      () => {
        throw new Error("x");
      },
      { onHandlerError },
    );
    assert.deepEqual(call.status, hidden);
  });

  it("answers INTERNAL, without the text, when the request does not parse", () => {
    const call = new Dispatch({ unary: echo }).open("Unary");
    call.deliver(new Uint8Array([0xff, 0xff])).clientEnd();
    assert.deepEqual(call.did, ["start(true)", "end"]);
    assert.equal(call.status?.code, Code.INTERNAL);
    assert.equal(call.status.message, "Error deserializing request");
  });

  it("answers INTERNAL when trailers cannot be sent", () => {
    const trailers = new Metadata();
    trailers.add("__proto__", "x");
    const call = run((_call, callback) => callback(null, response("x"), trailers));
    assert.equal(call.status?.code, Code.INTERNAL);
  });

  it("answers RESOURCE_EXHAUSTED when the response is over the send limit", () => {
    const call = run(echo, { maxSendMessageBytes: 4 });
    assert.equal(call.status?.code, Code.RESOURCE_EXHAUSTED);
    assert.deepEqual(call.messages, []);
  });

  it("refuses a call without a request, and one with two, as UNIMPLEMENTED", () => {
    let ran = false;
    const dispatch = new Dispatch({ unary: () => void (ran = true) });
    const none = dispatch.open("Unary").clientEnd();
    assert.equal(none.refused?.code, Code.UNIMPLEMENTED);
    const two = dispatch.open("Unary").deliver(request("1")).deliver(request("2")).clientEnd();
    assert.equal(two.refused?.code, Code.UNIMPLEMENTED);
    assert.equal(ran, false);
  });

  for (const [method, what] of [
    ["Missing", "a method without a handler"],
    ["Absent", "a method that does not exist"],
  ] as const) {
    it(`refuses ${what} as UNIMPLEMENTED`, () => {
      const call = new Dispatch({ unary: echo }).open(method);
      assert.equal(call.refused?.code, Code.UNIMPLEMENTED);
      assert.match(call.refused.message, new RegExp(`BehaviorService/${method}$`));
      call.deliver(request("x")).clientEnd().clientCancel();
    });
  }

  it("refuses metadata that gRPC does not allow", () => {
    const metadata = [{ key: "__proto__", value: new Uint8Array(1) }];
    const call = new Dispatch({ unary: echo }).open("Unary", { metadata });
    assert.equal(call.refused?.code, Code.UNIMPLEMENTED);
  });

  it("does not repeat a long method name in full", () => {
    const call = new Dispatch({ unary: echo }).open("x".repeat(60_000));
    assert.ok((call.refused?.message.length ?? Infinity) < 500);
  });
});

describe("a compressed request", () => {
  const send = (encoding: string, bytes: Uint8Array, maxReceiveMessageBytes = 1 << 20) =>
    new Dispatch({ unary: echo }, { maxReceiveMessageBytes })
      .open("Unary", { encoding })
      .deliver(bytes, true)
      .clientEnd();

  it("is inflated by gzip and by deflate", () => {
    assert.deepEqual(textsOf(send("gzip", gzipSync(request("packed")))), ["packed"]);
    assert.deepEqual(textsOf(send("deflate", deflateSync(request("packed")))), ["packed"]);
  });

  it("is RESOURCE_EXHAUSTED when it inflates beyond the limit", () => {
    const bomb = gzipSync(request("0".repeat(1 << 20)));
    assert.ok(bomb.length < 2_000);
    assert.equal(send("gzip", bomb).status?.code, Code.RESOURCE_EXHAUSTED);
  });

  it("may inflate to exactly the limit, and to anything without one", () => {
    const bytes = request("0".repeat(5_000));
    assert.equal(send("gzip", gzipSync(bytes), bytes.length).status?.code, Code.OK);
    assert.equal(
      send("gzip", gzipSync(bytes), bytes.length - 1).status?.code,
      Code.RESOURCE_EXHAUSTED,
    );
    assert.equal(send("gzip", gzipSync(bytes), -1).status?.code, Code.OK);
  });

  it("is RESOURCE_EXHAUSTED under a limit of nothing", () => {
    assert.equal(send("gzip", gzipSync("x"), 0).status?.code, Code.RESOURCE_EXHAUSTED);
  });

  it("is INTERNAL when it does not inflate, and without an encoding", () => {
    assert.equal(send("gzip", new Uint8Array([1, 2, 3])).status?.code, Code.INTERNAL);
    assert.equal(send("", request("x")).status?.code, Code.INTERNAL);
    assert.equal(send("identity", request("x")).status?.code, Code.INTERNAL);
  });

  it("is UNIMPLEMENTED for another encoding", () => {
    assert.equal(send("snappy", request("x")).status?.code, Code.UNIMPLEMENTED);
  });

  it("is read as it is when the message is not flagged", () => {
    const call = new Dispatch({ unary: echo }).open("Unary", { encoding: "gzip" });
    assert.deepEqual(textsOf(call.deliver(request("plain")).clientEnd()), ["plain"]);
  });
});

describe("the place of a unary call", () => {
  it("is given back once, when the call is over and the handler has answered", async () => {
    let answer: (() => void) | undefined;
    const call = run((_call, callback) => {
      answer = () => callback(null, response("x"));
    });
    await settle();
    assert.equal(call.released, 0);
    answer?.();
    await settle();
    assert.equal(call.released, 1);
  });

  it("is kept while the handler of a cancelled call has not answered", async () => {
    let answer: (() => void) | undefined;
    const call = run((_call, callback) => {
      answer = () => callback(null, response("x"));
    }).clientCancel();
    await settle();
    assert.equal(call.released, 0);
    answer?.();
    assert.equal(call.released, 1);
  });

  it("is given up 30 s after the cancel when the handler never answers", (t) => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const call = run(() => {}).clientCancel();
    t.mock.timers.tick(29_999);
    assert.equal(call.released, 0);
    t.mock.timers.tick(1);
    assert.equal(call.released, 1);
  });

  it("is kept until the promise of an async handler settles", async () => {
    let finish: (() => void) | undefined;
    const call = run(async (_call, callback) => {
      callback(null, response("x"));
      await new Promise<void>((resolve) => {
        finish = resolve;
      });
    });
    await settle();
    assert.equal(call.status?.code, 0);
    assert.equal(call.released, 0);
    finish?.();
    await settle();
    assert.equal(call.released, 1);
  });

  it("is given back when a handler throws", async () => {
    const call = run(() => {
      throw new Error("x");
    });
    await settle();
    assert.equal(call.released, 1);
  });
});
