import assert from "node:assert/strict";
import { Readable } from "node:stream";
import type { Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { describe, it } from "node:test";

import { Metadata, ServerInterceptingCall, status as Code } from "@grpc/grpc-js";
import type { ServerInterceptor } from "@grpc/grpc-js";

import type { BehaviorService } from "#gen/behavior/v1/behavior_pb.js";
import type { Handlers } from "../../services/enclave/handlers.ts";
import { Dispatch, request, response, settle, textsOf } from "../support/dispatch.ts";
import { FakeCall } from "../support/fake-call.ts";

type Of = Handlers<typeof BehaviorService>;
const HIDDEN = { code: Code.UNKNOWN, message: "Unknown error", trailers: [] };

const collect = (handler: NonNullable<Of["collect"]>): FakeCall =>
  new Dispatch({ collect: handler }).open("Collect");
const expand = (handler: NonNullable<Of["expand"]>): FakeCall =>
  new Dispatch({ expand: handler }).open("Expand").deliver(request("x")).clientEnd();
const chat = (handler: NonNullable<Of["chat"]>): FakeCall =>
  new Dispatch({ chat: handler }).open("Chat");

describe("a client-streaming call", () => {
  it("starts at OPEN and gives the handler messages in order, then the end", async () => {
    const call = collect(async (stream, callback) => {
      const texts: string[] = [];
      for await (const message of stream) texts.push(message.payload?.text ?? "");
      callback(null, response(texts.join(",")));
    });
    assert.deepEqual(call.did, ["start(false)"]);
    for (let i = 0; i < 40; i++) call.deliver(request(String(i)));
    await settle();
    assert.equal(call.status, undefined);
    call.clientEnd();
    await settle();
    assert.deepEqual(textsOf(call), [Array.from({ length: 40 }, (_, i) => i).join(",")]);
    assert.deepEqual(call.status, { code: 0, message: "OK", trailers: [] });
  });

  it("does not run when the start is refused", () => {
    let ran = false;
    const dispatch = new Dispatch({ collect: () => void (ran = true) });
    const call = dispatch.open("Absent");
    assert.equal(ran, false);
    assert.deepEqual(call.did, ["refuse"]);
  });

  it("may be answered before the client's end", async () => {
    const call = collect((_stream, callback) => callback(null, response("early")));
    assert.deepEqual(call.did, ["start(false)", "headers", "message", "end"]);
    await settle();
    assert.equal(call.released, 1);
  });

  it("is answered after a handler stopped iterating", async () => {
    const call = collect(async (stream, callback) => {
      for await (const message of stream) {
        callback(null, response(message.payload?.text ?? ""));
        break;
      }
    });
    call.deliver(request("first"));
    await settle();
    assert.deepEqual(textsOf(call), ["first"]);
    assert.equal(call.status?.code, Code.OK);
  });

  it("reads one message ahead of the handler and no more", async () => {
    const call = collect(() => {});
    for (let i = 0; i < 100; i++) call.deliver(request("x"));
    await settle();
    assert.ok(call.reads <= 2, `${call.reads} reads`);
  });

  it("ends with ABORTED, and never normally, when it is cut", async () => {
    for (const reason of ["cancelled", "truncated", "deadline"] as const) {
      const seen: unknown[] = [];
      const call = collect(async (stream) => {
        stream.on("end", () => seen.push("end"));
        stream.on("cancelled", () => seen.push(["cancelled", stream.cancelled]));
        try {
          for await (const message of stream) seen.push(message.payload?.text);
          seen.push("committed");
        } catch (error) {
          seen.push(error);
        }
      });
      call.deliver(request("half"));
      await settle();
      call.clientCancel(reason);
      await settle();
      assert.equal(seen.length, 3);
      assert.deepEqual(seen.slice(0, 2), ["half", ["cancelled", true]]);
      const error = seen[2] as { code: number; details: string };
      assert.deepEqual([error.code, error.details], [Code.ABORTED, "truncated"]);
      assert.equal(call.status, undefined);
    }
  });

  it("does not end when it is cut after messages that were not read yet", async () => {
    let ended = false;
    const call = collect((stream) => {
      stream.on("end", () => (ended = true));
      stream.on("error", () => {});
    });
    call.deliver(request("1")).deliver(request("2")).clientCancel("truncated");
    await settle();
    assert.equal(ended, false);
  });

  it("tells the reason when the request was whole already", async () => {
    let error: (Error & { code?: number }) | undefined;
    const call = chat((stream) => {
      stream.resume();
      stream.on("error", (raised) => (error = raised));
    });
    call.clientEnd();
    await settle();
    call.clientCancel("deadline");
    await settle();
    assert.equal(error?.code, Code.DEADLINE_EXCEEDED);
  });

  it("answers an emitted error, and a destroy with an error", async () => {
    const error = Object.assign(new Error("x"), { code: Code.NOT_FOUND, details: "nothing" });
    const emitted = collect((stream) => void stream.emit("error", error));
    const destroyed = collect((stream) => void stream.destroy(error));
    await settle();
    for (const call of [emitted, destroyed]) {
      assert.deepEqual(call.status, { code: 5, message: "nothing", trailers: [] });
    }
  });

  it("answers UNKNOWN without the text for a throw and a rejection", async () => {
    const thrown = collect(() => {
      throw new Error("a secret");
    });
    const rejected = collect(async () => {
      await settle();
      throw new Error("a secret");
    });
    await settle();
    await settle();
    assert.deepEqual(thrown.status, HIDDEN);
    assert.deepEqual(rejected.status, HIDDEN);
  });

  it("answers INTERNAL in the midst when a request does not parse", async () => {
    const call = collect((stream) => void stream.resume());
    call.deliver(request("fine")).deliver(new Uint8Array([0xff]));
    await settle();
    assert.equal(call.status?.code, Code.INTERNAL);
  });
});

describe("a server-streaming call", () => {
  it("starts when the request is whole and sends what is written, then trailers", async () => {
    const call = expand((stream) => {
      const text = stream.request.payload?.text ?? "";
      for (let i = 0; i < 3; i++) stream.write(response(text + String(i)));
      const trailers = new Metadata();
      trailers.add("x-end", "yes");
      stream.end(trailers);
    });
    assert.equal(call.did[0], "start(true)");
    await settle();
    assert.deepEqual(textsOf(call), ["x0", "x1", "x2"]);
    assert.deepEqual(call.status, {
      code: 0,
      message: "OK",
      trailers: [{ key: "x-end", value: Buffer.from("yes") }],
    });
    assert.equal(call.released, 1);
  });

  it("sends metadata alone and early", () => {
    const call = expand((stream) => {
      const metadata = new Metadata();
      metadata.add("x-first", "1");
      stream.sendMetadata(metadata);
    });
    assert.deepEqual(call.did, ["start(true)", "headers"]);
  });

  it("sends a status without headers when nothing was written", async () => {
    const call = expand((stream) => stream.end());
    await settle();
    assert.deepEqual(call.did, ["start(true)", "end"]);
  });

  it("holds writes back while the session takes none", async () => {
    let write: (() => boolean) | undefined;
    let drained = 0;
    const dispatch = new Dispatch({
      expand: (stream) => {
        write = () => stream.write(response("x"));
        stream.on("drain", () => (drained += 1));
      },
    });
    const call = dispatch.open("Expand").deliver(request("x")).clientEnd();
    call.clogged = true;
    let writes = 0;
    for (let room: boolean | undefined = true; room; room = write?.()) writes += 1;
    await settle();
    assert.equal(writes, 16);
    assert.equal(call.messages.length, 1);
    assert.equal(drained, 0);
    call.unclog();
    await settle();
    assert.equal(call.messages.length, 16);
    assert.equal(drained, 1);
  });

  it("sends what was written before an emitted error", async () => {
    const call = expand((stream) => {
      stream.write(response("one"));
      stream.emit("error", Object.assign(new Error("x"), { code: Code.ABORTED, details: "mid" }));
    });
    await settle();
    assert.deepEqual(textsOf(call), ["one"]);
    assert.deepEqual(call.status, { code: 10, message: "mid", trailers: [] });
  });

  it("answers a failing pipeline with the error's status", async () => {
    const source = Readable.from(
      (async function* () {
        yield response("one");
        await settle();
        throw Object.assign(new Error("x"), { code: Code.DATA_LOSS, details: "source" });
      })(),
    );
    const call = expand(async (stream) => {
      await pipeline(source, stream as unknown as Writable).catch(() => {});
    });
    for (let i = 0; i < 4; i++) await settle();
    assert.deepEqual(call.status, { code: 15, message: "source", trailers: [] });
    assert.equal(call.released, 1);
  });

  it("answers UNKNOWN when it is destroyed without an error and without an end", async () => {
    const call = expand((stream) => void stream.destroy());
    await settle();
    assert.deepEqual(call.status, HIDDEN);
  });

  it("answers UNKNOWN without the text for a throw and a rejection", async () => {
    const thrown = expand(() => {
      throw new Error("a secret");
    });
    const rejected = expand(async () => {
      await settle();
      throw new Error("a secret");
    });
    await settle();
    await settle();
    assert.deepEqual(thrown.status, HIDDEN);
    assert.deepEqual(rejected.status, HIDDEN);
  });

  it("answers INTERNAL when what is written does not serialize", async () => {
    const call = expand((stream) => {
      stream.write(undefined as never);
      stream.end();
    });
    await settle();
    assert.equal(call.status?.code, Code.INTERNAL);
    assert.equal(call.status.message, "Error serializing response");
  });

  it("is destroyed when the client cancels, and writes nothing more", async () => {
    let stopped = "";
    const call = expand((stream) => {
      stream.on("cancelled", () => (stopped += "cancelled "));
      stream.on("close", () => {
        stopped += "close";
        stream.write(response("late"));
      });
    });
    call.clientCancel();
    await settle();
    assert.equal(stopped, "cancelled close");
    assert.deepEqual(call.messages, []);
    assert.equal(call.released, 1);
  });

  it("refuses to end with what is no metadata", () => {
    const call = expand((stream) => stream.end(response("x") as never));
    assert.deepEqual(call.status, HIDDEN);
  });

  it("refuses two requests as UNIMPLEMENTED", () => {
    const call = new Dispatch({ expand: () => {} }).open("Expand");
    call.deliver(request("1")).deliver(request("2"));
    assert.equal(call.refused?.code, Code.UNIMPLEMENTED);
  });
});

describe("a bidirectional call", () => {
  it("starts at OPEN and answers each message as it comes", async () => {
    const call = chat(async (stream) => {
      for await (const message of stream) {
        stream.write(response(`re ${message.payload?.text}`));
      }
      stream.end();
    });
    for (let i = 0; i < 5; i++) {
      call.deliver(request(String(i)));
      await settle();
      assert.equal(textsOf(call).at(-1), `re ${i}`);
    }
    call.clientEnd();
    await settle();
    assert.equal(call.status?.code, Code.OK);
    assert.equal(call.released, 1);
  });

  it("may end before the client does, and then ends for the handler without an end", async () => {
    const seen: string[] = [];
    const call = chat((stream) => {
      stream.on("end", () => seen.push("end"));
      stream.on("error", (error) => seen.push(error.message));
      stream.on("close", () => seen.push("close"));
      stream.resume();
      stream.end();
    });
    await settle();
    assert.deepEqual(call.did, ["start(false)", "end"]);
    assert.deepEqual(seen, ["close"]);
  });

  it("keeps its writing side when the client has ended", async () => {
    const call = chat((stream) => {
      stream.resume();
      stream.on("end", () => {
        setImmediate(() => {
          stream.write(response("after"));
          stream.end();
        });
      });
    });
    call.clientEnd();
    await settle();
    assert.deepEqual(textsOf(call), ["after"]);
    assert.equal(call.status?.code, Code.OK);
  });

  it("shows the same surface as a unary call", () => {
    let surface: unknown[] = [];
    const dispatch = new Dispatch({
      chat: (stream) => {
        surface = [
          stream.getPath(),
          stream.getHost(),
          stream.getPeer(),
          stream.getDeadline(),
          stream.getAuthContext().transportSecurityType,
          stream.metadata.get("x"),
          stream.cancelled,
        ];
        stream.getMetricsRecorder().recordQpsMetric(1);
      },
    });
    dispatch.open("Chat", {
      authority: "host",
      metadata: [{ key: "x", value: Buffer.from("y") }],
    });
    assert.deepEqual(surface, [
      "/behavior.v1.BehaviorService/Chat",
      "host",
      "unknown",
      Infinity,
      "sealrpc",
      ["y"],
      false,
    ]);
  });
});

describe("what the application throws outside its handler", () => {
  it("in a listener for messages, ends the call with UNKNOWN", async () => {
    const call = chat((stream) => {
      stream.on("data", () => {
        throw new Error("secret");
      });
    });
    call.deliver(request("one"));
    await settle();
    assert.deepEqual(call.status, HIDDEN);
  });

  it("in a listener for the end, ends the call with UNKNOWN", async () => {
    const call = chat((stream) => {
      stream.on("data", () => undefined);
      stream.on("end", () => {
        throw new Error("secret");
      });
    });
    call.deliver(request("one")).clientEnd();
    await settle();
    assert.deepEqual(call.status, HIDDEN);
  });

  it("in an interceptor, when a message leaves later, ends the call with UNKNOWN", async () => {
    let sent = 0;
    const dispatch = new Dispatch(
      {
        expand: (stream) => {
          stream.write(response("one"));
          stream.write(response("two"));
        },
      },
      {
        interceptors: [
          (_method, call) =>
            new ServerInterceptingCall(call, {
              sendMessage: (message, next) => {
                sent += 1;
                if (sent === 2) throw new Error("secret");
                next(message);
              },
            }),
        ],
      },
    );
    const fake = new FakeCall();
    fake.clogged = true;
    const call = dispatch.open("Expand", {}, fake).deliver(request("x")).clientEnd();
    call.unclog();
    await settle();
    assert.deepEqual(call.status, HIDDEN);
  });

  it("in an interceptor, at the status, ends every kind of call with UNKNOWN", async () => {
    const interceptors: ServerInterceptor[] = [
      (_method, call) =>
        new ServerInterceptingCall(call, {
          sendStatus: () => {
            throw new Error("secret");
          },
        }),
    ];
    const dispatch = new Dispatch(
      {
        unary: async () => {
          await settle();
          throw new Error("secret");
        },
        collect: (_stream, callback) => {
          setTimeout(() => callback(null, response("one")), 1);
        },
        expand: (stream) => stream.end(),
        chat: (stream) => stream.end(),
      },
      { interceptors },
    );
    for (const method of ["Unary", "Collect", "Expand", "Chat"]) {
      const call = dispatch.open(method).deliver(request("x")).clientEnd();
      await new Promise((resolve) => setTimeout(resolve, 20));
      await settle();
      assert.deepEqual(call.status, HIDDEN, method);
    }
  });
});
