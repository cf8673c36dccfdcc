import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { create, toBinary, fromBinary } from "@bufbuild/protobuf";

import {
  BehaviorService,
  UnaryRequestSchema,
  UnaryResponseSchema,
} from "#gen/behavior/v1/behavior_pb.js";
import type { EnclaveServer } from "../../services/enclave/server.ts";
import { TestEnclave } from "../support/enclave.ts";
import { request, response } from "../support/dispatch.ts";

const echo = (server: EnclaveServer): void =>
  server.addService(BehaviorService, {
    unary: (call, callback) => callback(null, response(call.request.payload?.text ?? "")),
    chat: (call) => {
      call.on("data", (message) => call.write(response(message.payload?.text ?? "")));
      call.on("end", () => call.end());
    },
  });

const text = (bytes: Uint8Array | undefined): string | undefined =>
  bytes && fromBinary(UnaryResponseSchema, bytes).payload?.text;

describe("an enclave server", () => {
  let enclave: TestEnclave;
  before(async () => {
    enclave = await TestEnclave.start(echo);
  });
  after(() => enclave.stop());

  it("serves a call of a session", async () => {
    const session = await enclave.session();
    const answer = await session.unary("Unary", request("Grüße"));
    assert.deepEqual(answer.messages.map(text), ["Grüße"]);
    assert.deepEqual(answer.end, {
      kind: "status",
      status: { code: 0, message: "OK", trailers: [] },
    });
  });

  it("serves many calls at once, each with its own answer", async () => {
    const session = await enclave.session();
    const numbers = Array.from({ length: 200 }, (_, i) => String(i));
    const answers = await Promise.all(numbers.map((n) => session.unary("Unary", request(n))));
    assert.deepEqual(
      answers.map(({ messages }) => text(messages[0])),
      numbers,
    );
  });

  it("serves messages far larger than a record, both ways", async () => {
    const session = await enclave.session();
    const big = "x".repeat(3 << 20);
    const { messages } = await session.unary("Unary", request(big));
    assert.equal(text(messages[0])?.length, big.length);
  });

  it("ends a session in order with status 0", async () => {
    const session = await enclave.session();
    await session.unary("Unary", request("x"));
    session.session.close(performance.now(), 0);
    assert.equal(await session.closed, undefined);
    assert.equal((await session.stream.ended).status, 0);
  });

  it("refuses a message over the limit and lives on", async () => {
    const session = await enclave.session();
    const bytes = toBinary(
      UnaryRequestSchema,
      create(UnaryRequestSchema, { payload: { data: new Uint8Array(5 << 20) } }),
    );
    const { end } = await session.unary("Unary", bytes);
    assert.equal(end.kind, "refused");
    assert.equal(end.kind === "refused" && end.status.code, 8);
    assert.deepEqual((await session.unary("Unary", request("next"))).messages.map(text), ["next"]);
  });
});
