import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { create, isMessage } from "@bufbuild/protobuf";
import type { DescService } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import type * as grpc from "@grpc/grpc-js";

import {
  BehaviorService,
  PayloadSchema,
  UnaryRequestSchema,
  UnaryResponseSchema,
} from "#gen/behavior/v1/behavior_pb.js";
import { serviceDefinition } from "../../services/grpc/service-definition.ts";

const definition = serviceDefinition(BehaviorService);

describe("a service definition of a protobuf-es descriptor", () => {
  it("names each method by its path and tells which sides stream", () => {
    const seen = Object.entries(definition).map(([name, method]) => [
      name,
      method.path,
      method.requestStream,
      method.responseStream,
    ]);
    assert.deepEqual(seen, [
      ["unary", "/behavior.v1.BehaviorService/Unary", false, false],
      ["collect", "/behavior.v1.BehaviorService/Collect", true, false],
      ["expand", "/behavior.v1.BehaviorService/Expand", false, true],
      ["chat", "/behavior.v1.BehaviorService/Chat", true, true],
      ["missing", "/behavior.v1.BehaviorService/Missing", false, false],
    ]);
  });

  it("serializes a plain init object and reads it back as a message", () => {
    const bytes = definition.unary.requestSerialize({ payload: { text: "Grüße", number: 7 } });
    assert.ok(Buffer.isBuffer(bytes));
    const request = definition.unary.requestDeserialize(bytes);
    assert.ok(isMessage(request, UnaryRequestSchema));
    assert.equal(request.payload?.text, "Grüße");
    assert.equal(request.payload?.number, 7);
  });

  it("serializes a message", () => {
    const response = create(UnaryResponseSchema, { payload: { text: "x" } });
    const bytes = definition.unary.responseSerialize(response);
    assert.deepEqual(definition.unary.responseDeserialize(bytes), response);
  });

  it("takes an object of null prototype and an empty one", () => {
    const init = Object.assign(Object.create(null) as object, { payload: { number: 3 } });
    const bytes = definition.unary.requestSerialize(init);
    assert.equal(definition.unary.requestDeserialize(bytes).payload?.number, 3);
    assert.equal(definition.unary.requestSerialize({}).length, 0);
  });

  for (const [what, value] of [
    ["undefined", undefined],
    ["null", null],
    ["a number", 5],
    ["a text", "text"],
    ["an array", []],
    ["a promise", Promise.resolve({})],
    ["an instance of a class", new Date(0)],
    ["a message of another type", create(PayloadSchema)],
  ] as const) {
    it(`refuses ${what} in place of a message`, () => {
      const serialize = definition.unary.responseSerialize as (value: unknown) => Buffer;
      assert.throws(() => serialize(value), TypeError);
    });
  }

  it("carries the idempotency level that the method declares", () => {
    const declared = (idempotency: MethodOptions_IdempotencyLevel): object => {
      const method = { ...BehaviorService.method.unary, idempotency };
      const service = { ...BehaviorService, methods: [method] } as unknown as DescService;
      return Object.values(serviceDefinition(service))[0]?.options ?? {};
    };
    const { NO_SIDE_EFFECTS, IDEMPOTENT, IDEMPOTENCY_UNKNOWN } = MethodOptions_IdempotencyLevel;
    assert.deepEqual(declared(NO_SIDE_EFFECTS), { idempotencyLevel: "NO_SIDE_EFFECTS" });
    assert.deepEqual(declared(IDEMPOTENT), { idempotencyLevel: "IDEMPOTENT" });
    assert.deepEqual(declared(IDEMPOTENCY_UNKNOWN), {});
  });

  it("is what grpc-js takes for a service", () => {
    const accepted: grpc.ServiceDefinition = definition;
    assert.equal(accepted["unary"]?.path, "/behavior.v1.BehaviorService/Unary");
  });

  it("lets the compiler tell requests, responses and stream kinds apart", () => {
    const unary: false = definition.unary.requestStream;
    const chat: true = definition.chat.responseStream;
    // @ts-expect-error a unary method does not stream
    const wrong: true = definition.unary.requestStream;
    assert.deepEqual([unary, chat, wrong], [false, true, false]);

    // @ts-expect-error a field that the message does not have
    definition.unary.requestSerialize({ payload: { words: "x" } });
    // @ts-expect-error what is missing is not a message
    assert.throws(() => definition.unary.requestSerialize(undefined), TypeError);
    // @ts-expect-error a response is not a request
    assert.throws(() => definition.unary.requestSerialize(create(UnaryResponseSchema)), TypeError);
    // @ts-expect-error no such method
    assert.equal(definition.absent, undefined);
  });
});
