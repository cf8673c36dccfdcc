import assert from "node:assert/strict";
import { describe, it } from "node:test";

import type {
  handleUnaryCall,
  ServiceDefinition,
  UntypedServiceImplementation,
} from "@grpc/grpc-js";

import { BehaviorService } from "#gen/behavior/v1/behavior_pb.js";
import { Dispatcher } from "../../services/enclave/dispatcher.ts";
import { EnclaveServer } from "../../services/enclave/server.ts";
import { serviceDefinition } from "../../services/grpc/service-definition.ts";
import { Dispatch, request, response, SETTINGS, textsOf } from "../support/dispatch.ts";
import { FakeCall } from "../support/fake-call.ts";

const UPPER: ServiceDefinition = {
  Shout: {
    path: "/upper.Upper/Shout",
    originalName: "shout",
    requestStream: false,
    responseStream: false,
    requestSerialize: (text: string) => Buffer.from(text),
    requestDeserialize: (bytes) => bytes.toString(),
    responseSerialize: (text: string) => Buffer.from(text),
    responseDeserialize: (bytes) => bytes.toString(),
  },
};

function shout(handlers: UntypedServiceImplementation, service = UPPER): FakeCall {
  const dispatcher = new Dispatcher();
  dispatcher.add(service, handlers);
  const call = new FakeCall();
  const header = { metadata: [], sentMs: 0, timeoutMs: 0, encoding: "", authority: "" };
  call.attach(dispatcher.open(call, { method: "/upper.Upper/Shout", ...header }, SETTINGS));
  return call.deliver(Buffer.from("hello")).clientEnd();
}

describe("the services of a server", () => {
  const handler: handleUnaryCall<string, string> = (call, callback) =>
    callback(null, call.request.toUpperCase());

  it("take a grpc-js definition with the handler by its name or its original name", () => {
    for (const name of ["Shout", "shout"]) {
      const call = shout({ [name]: handler });
      assert.deepEqual(
        call.messages.map((bytes) => Buffer.from(bytes).toString()),
        ["HELLO"],
      );
    }
  });

  it("answer INTERNAL when a serializer gives no bytes", () => {
    const shouted = UPPER["Shout"];
    assert.ok(shouted);
    const service = { Shout: { ...shouted, responseSerialize: () => "text" as never } };
    assert.equal(shout({ shout: handler }, service).status?.code, 13);
  });

  it("call a handler as a method of the object that it came from", () => {
    class Shouter {
      readonly suffix = "!";
      Shout(call: { request: string }, callback: (error: null, value: string) => void): void {
        callback(null, call.request + this.suffix);
      }
    }
    const call = shout(new Shouter() as unknown as UntypedServiceImplementation);
    assert.equal(Buffer.from(call.messages[0] ?? []).toString(), "hello!");
  });

  it("take a protobuf-es descriptor", () => {
    const dispatch = new Dispatch({
      unary: (call, callback) => callback(null, response(call.request.payload?.text ?? "")),
    });
    assert.deepEqual(textsOf(dispatch.open("Unary").deliver(request("x")).clientEnd()), ["x"]);
  });

  it("refuse a path twice, in one service or two, and then add nothing", () => {
    const dispatcher = new Dispatcher();
    dispatcher.add(UPPER, {});
    const both = { ...serviceDefinition(BehaviorService), ...UPPER };
    assert.throws(() => dispatcher.add(both, {}), TypeError);
    assert.equal(dispatcher.has("/behavior.v1.BehaviorService/Unary"), false);
    const shouted = UPPER["Shout"];
    assert.ok(shouted);
    assert.throws(() => new Dispatcher().add({ One: shouted, Two: shouted }, {}), TypeError);
  });

  it("refuse an empty service and a handler that is no function", () => {
    assert.throws(() => new Dispatcher().add({}, {}), TypeError);
    assert.throws(() => new Dispatcher().add(UPPER, { Shout: "text" }), TypeError);
  });

  it("let the compiler check handlers against the descriptor", () => {
    const server = new EnclaveServer();
    server.addService(BehaviorService, {
      unary: (call, callback) => {
        const text: string | undefined = call.request.payload?.text;
        // @ts-expect-error a request has no such field
        assert.equal(call.request.absent, undefined);
        callback(null, { payload: { text: text ?? "" } });
        // @ts-expect-error a response has no such field
        callback(null, { absent: 1 });
      },
      collect: async (call, callback) => {
        let total = 0;
        for await (const message of call) total += message.payload?.number ?? 0;
        callback(null, { payload: { number: total } });
      },
      expand: (call) => {
        call.write({ payload: { text: call.request.payload?.text ?? "" } });
        // @ts-expect-error what is written is a response
        call.write({ absent: 1 });
        call.end();
      },
      chat: (call) => {
        call.on("data", (message) =>
          call.write({ payload: { text: message.payload?.text ?? "" } }),
        );
        const { evidence } = call.getAuthContext();
        assert.equal(evidence, undefined);
      },
    });
    // @ts-expect-error the service has no such method
    const absent = (): void => new EnclaveServer().addService(BehaviorService, { absent() {} });
    assert.doesNotThrow(absent);
  });
});

describe("the options of a server", () => {
  const of = (options: object) => () => new EnclaveServer(options);

  it("are checked when it is made", () => {
    assert.throws(of({ limits: { maxSessions: 0 } }), RangeError);
    assert.throws(of({ limits: { maxSessions: 1.5 } }), RangeError);
    assert.throws(of({ limits: { maxSesions: 1 } }), RangeError);
    assert.throws(of({ vsockPeers: [] }), RangeError);
    assert.throws(of({ vsockPeers: [3, -1] }), RangeError);
    assert.throws(of({ vsockBufferBytes: 0 }), RangeError);
    assert.throws(of({ limits: { maxAgeMs: 4 * 3_600_000 } }), RangeError);
    assert.throws(of({ maxReceiveMessageBytes: -2 }), RangeError);
    assert.throws(of({ maxSendMessageBytes: 0.5 }), RangeError);
    assert.throws(of({ padding: { bucket: 0 } }), RangeError);
    assert.throws(of({ callers: { referenceValues: [] } }), (error) => error instanceof Error);
    assert.doesNotThrow(of({ maxReceiveMessageBytes: -1, padding: "none" }));
  });

  it("need an enclave when no attester is given", async () => {
    const server = new EnclaveServer({ logger: { debug() {}, info() {}, warn() {} } });
    await assert.rejects(server.listen("127.0.0.1:0"));
    await assert.rejects(server.listen("127.0.0.1:0"));
    await server.close();
  });
});
