import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { Metadata, ServerInterceptingCall, status as Code } from "@grpc/grpc-js";
import type { ServerInterceptor } from "@grpc/grpc-js";

import type { UnaryRequest, UnaryResponse } from "#gen/behavior/v1/behavior_pb.js";
import { Dispatch, request, response, settle, textsOf } from "../support/dispatch.ts";

const marked = (name: string, order: string[]): ServerInterceptor => {
  return (_method, call) =>
    new ServerInterceptingCall(call, {
      start: (next) =>
        next({
          onReceiveMetadata: (metadata, pass) => {
            order.push(name);
            pass(metadata);
          },
        }),
    });
};

describe("server interceptors", () => {
  it("are told the method and wrap the call, the last one next to the handler", () => {
    const order: string[] = [];
    const told: unknown[] = [];
    const first: ServerInterceptor = (method, call) => {
      told.push(method.path, method.requestStream, method.responseStream);
      return new ServerInterceptingCall(call);
    };
    const dispatch = new Dispatch(
      {
        unary: (_call, callback) => {
          order.push("handler");
          callback(null, response("x"));
        },
      },
      { interceptors: [first, marked("one", order), marked("two", order)] },
    );
    const call = dispatch.open("Unary").deliver(request("x")).clientEnd();
    assert.deepEqual(order, ["one", "two", "handler"]);
    assert.deepEqual(told, ["/behavior.v1.BehaviorService/Unary", false, false]);
    assert.deepEqual(textsOf(call), ["x"]);
  });

  it("change metadata and messages both ways, and the status", () => {
    const rewrite: ServerInterceptor = (_method, call) =>
      new ServerInterceptingCall(call, {
        start: (next) =>
          next({
            onReceiveMetadata: (metadata, pass) => {
              metadata.add("x-added", "in");
              pass(metadata);
            },
            onReceiveMessage: (message: UnaryRequest, pass) =>
              pass({ ...message, payload: { ...message.payload, text: "changed" } }),
          }),
        sendMetadata: (metadata, next) => {
          metadata.add("x-added", "out");
          next(metadata);
        },
        sendMessage: (message: UnaryResponse, next) =>
          next({ payload: { text: `<${message.payload?.text}>` } }),
        sendStatus: (status, next) => next({ ...status, details: "rewritten" }),
      });
    let seen: unknown;
    const call = new Dispatch(
      {
        unary: (handled, callback) => {
          seen = handled.metadata.get("x-added");
          handled.sendMetadata(new Metadata());
          callback(null, response(handled.request.payload?.text ?? ""));
        },
      },
      { interceptors: [rewrite] },
    )
      .open("Unary")
      .deliver(request("x"))
      .clientEnd();
    assert.deepEqual(seen, ["in"]);
    assert.deepEqual(textsOf(call), ["<changed>"]);
    assert.deepEqual(call.header?.metadata, [{ key: "x-added", value: Buffer.from("out") }]);
    assert.equal(call.status?.message, "rewritten");
  });

  it("may work asynchronously, in every kind of call", async () => {
    const slow: ServerInterceptor = (_method, call) =>
      new ServerInterceptingCall(call, {
        start: (next) =>
          next({
            onReceiveMetadata: (metadata, pass) => setImmediate(pass, metadata),
            onReceiveMessage: (message, pass) => setImmediate(pass, message),
          }),
        sendMessage: (message, next) => setImmediate(next, message),
      });
    const dispatch = new Dispatch(
      {
        unary: (call, callback) => callback(null, response(call.request.payload?.text ?? "")),
        chat: async (call) => {
          for await (const message of call) call.write(response(message.payload?.text ?? ""));
          call.end();
        },
      },
      { interceptors: [slow] },
    );
    const unary = dispatch.open("Unary").deliver(request("x")).clientEnd();
    const chat = dispatch.open("Chat").deliver(request("1")).deliver(request("2")).clientEnd();
    for (let i = 0; i < 6; i++) await settle();
    assert.deepEqual(textsOf(unary), ["x"]);
    assert.equal(unary.status?.code, Code.OK);
    assert.deepEqual(textsOf(chat), ["1", "2"]);
    assert.equal(chat.status?.code, Code.OK);
  });

  it("do not let a second answer through while they work on the first", async () => {
    const slow: ServerInterceptor = (_method, call) =>
      new ServerInterceptingCall(call, {
        sendMessage: (message, next) => setImmediate(next, message),
      });
    const dispatch = new Dispatch(
      {
        unary: (_call, callback) => {
          callback(null, response("first"));
          callback(null, response("second"));
        },
      },
      { interceptors: [slow] },
    );
    const call = dispatch.open("Unary").deliver(request("x")).clientEnd();
    await settle();
    assert.deepEqual(textsOf(call), ["first"]);
  });

  it("may end a call before its handler, with a status of their own", () => {
    let ran = false;
    const deny: ServerInterceptor = (_method, call) =>
      new ServerInterceptingCall(call, {
        start: (next) =>
          next({
            onReceiveMetadata: () =>
              call.sendStatus({ code: Code.PERMISSION_DENIED, details: "not you" }),
          }),
      });
    const dispatch = new Dispatch({ unary: () => void (ran = true) }, { interceptors: [deny] });
    const call = dispatch.open("Unary").deliver(request("x")).clientEnd();
    assert.equal(ran, false);
    assert.deepEqual(call.did, ["start(true)", "end"]);
    assert.deepEqual(call.status, { code: 7, message: "not you", trailers: [] });
  });

  it("cannot break the session with a status that is none", () => {
    const wrong: ServerInterceptor = (_method, call) =>
      new ServerInterceptingCall(call, {
        sendStatus: (_status, next) => next({ code: "5", details: 7 } as never),
      });
    const dispatch = new Dispatch(
      { unary: (_call, callback) => callback(null, response("x")) },
      { interceptors: [wrong] },
    );
    const call = dispatch.open("Unary").deliver(request("x")).clientEnd();
    assert.deepEqual(call.status, { code: 2, message: "", trailers: [] });
  });

  it("run nothing of a call with one request before that is whole", () => {
    let intercepted = 0;
    const count: ServerInterceptor = (_method, call) => {
      intercepted += 1;
      return new ServerInterceptingCall(call);
    };
    const dispatch = new Dispatch({ unary: () => {} }, { interceptors: [count] });
    const call = dispatch.open("Unary").deliver(request("x"));
    assert.equal(intercepted, 0);
    call.clientEnd();
    assert.equal(intercepted, 1);
  });

  it("that throw end their call with UNKNOWN, without the text, and nothing else", async () => {
    const constructing: ServerInterceptor = () => {
      throw new Error("a secret");
    };
    const listening: ServerInterceptor = (_method, call) =>
      new ServerInterceptingCall(call, {
        start: (next) =>
          next({
            onReceiveMessage: () => {
              throw new Error("a secret");
            },
          }),
      });
    for (const interceptor of [constructing, listening]) {
      const dispatch = new Dispatch({ unary: () => {} }, { interceptors: [interceptor] });
      const call = dispatch.open("Unary").deliver(request("x")).clientEnd();
      assert.deepEqual(call.status, { code: 2, message: "Unknown error", trailers: [] });
      assert.equal(dispatch.errors.length, 1);
      await settle();
      assert.equal(call.released, 1);
    }
  });

  it("that pass on nothing as a message do not make it the end of the stream", async () => {
    const nothing: ServerInterceptor = (_method, call) =>
      new ServerInterceptingCall(call, {
        start: (next) => next({ onReceiveMessage: (_message, pass) => pass(null) }),
      });
    let ended = false;
    const dispatch = new Dispatch(
      {
        collect: (call) => {
          call.on("end", () => (ended = true));
          call.resume();
        },
      },
      { interceptors: [nothing] },
    );
    const call = dispatch.open("Collect").deliver(request("x"));
    await settle();
    assert.equal(ended, false);
    assert.equal(call.status?.code, Code.INTERNAL);
  });
});
