import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { create, fromBinary, toBinary } from "@bufbuild/protobuf";

import {
  BehaviorService,
  UnaryRequestSchema,
  UnaryResponseSchema,
} from "#gen/behavior/v1/behavior_pb.js";
import type { EnclaveServer } from "../../services/enclave/server.ts";
import { request, response, settle } from "../support/dispatch.ts";
import { TestEnclave } from "../support/enclave.ts";
import type { RawSession } from "../support/raw-client.ts";

const text = (bytes: Uint8Array): string | undefined =>
  fromBinary(UnaryResponseSchema, bytes).payload?.text;
const bulk = (bytes: number): Uint8Array =>
  toBinary(
    UnaryRequestSchema,
    create(UnaryRequestSchema, { payload: { data: new Uint8Array(bytes) } }),
  );

/** What the handlers of the server saw, in order. */
let seen: unknown[] = [];

function add(server: EnclaveServer): void {
  server.addService(BehaviorService, {
    unary: (call) => {
      seen.push("started", call.getDeadline());
      call.on("cancelled", () => seen.push("cancelled"));
    },
    collect: async (call, callback) => {
      let bytes = 0;
      try {
        for await (const message of call) bytes += message.payload?.data.length ?? 0;
        callback(null, response(String(bytes)));
      } catch (error) {
        seen.push((error as { details: string }).details);
      }
    },
    expand: async (call) => {
      for (let i = 0; i < 2_000; i++) {
        const hasRoom = call.write({ payload: { number: i, data: new Uint8Array(8 << 10) } });
        seen.push(i);
        if (!hasRoom) await new Promise((resolve) => call.once("drain", resolve));
      }
      call.end();
    },
    chat: (call) => {
      call.on("data", (message) => call.write(response(message.payload?.text ?? "")));
      call.on("end", () => call.end());
    },
  });
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await settle();
}

describe("a call of a real session", () => {
  let enclave: TestEnclave;
  let session: RawSession;
  before(async () => {
    enclave = await TestEnclave.start(add);
    session = await enclave.session();
  });
  after(() => enclave.stop());

  it("tells the handler its deadline, and cancels it then", async () => {
    seen = [];
    const deadlineMs = performance.now() + 150;
    const expected = Date.now() + 150;
    const { end } = await session.unary("Unary", request("x"), { deadlineMs });
    assert.ok(end.kind === "deadline" || (end.kind === "status" && end.status.code === 4));
    await until(() => seen.length === 3);
    assert.deepEqual([seen[0], seen[2]], ["started", "cancelled"]);
    assert.ok(Math.abs(Number(seen[1]) - expected) < 10_000);
  });

  it("keeps a deadline that is years away", async () => {
    seen = [];
    const years = 3 * 365 * 86_400_000;
    const { call } = session.open("Unary", { deadlineMs: performance.now() + years });
    call.sendMessage(request("x"));
    call.halfClose();
    await until(() => seen.length === 2);
    await settle();
    assert.ok(Math.abs(Number(seen[1]) - Date.now() - years) < 60_000);
    assert.equal(seen.length, 2);
    call.cancel();
    await until(() => seen.length === 3);
  });

  it("is cancelled for the handler when the client cancels", async () => {
    seen = [];
    const { call } = session.open("Unary");
    call.sendMessage(request("x"));
    call.halfClose();
    await until(() => seen[0] === "started");
    call.cancel();
    await until(() => seen.length === 3);
    assert.equal(seen[2], "cancelled");
  });

  it("uploads far more than its credit", async () => {
    const { call, answer } = session.open("Collect");
    for (let i = 0; i < 8; i++) {
      await new Promise<void>((resolve) => call.sendMessage(bulk(1 << 20), false, resolve));
    }
    call.halfClose();
    const { messages } = await answer;
    assert.deepEqual(messages.map(text), [String(8 << 20)]);
  });

  it("downloads no further ahead than the client reads", async () => {
    seen = [];
    const { call, answer, messages } = session.open("Expand");
    call.sendMessage(request("x"));
    call.halfClose();
    await answer;
    assert.equal(messages.length, 2_000);

    seen = [];
    let read = 0;
    const slow = session.session.open(
      { method: "/behavior.v1.BehaviorService/Expand", metadata: [] },
      { onHeaders() {}, onMessage: () => void (read += 1), onEnd() {} },
    );
    slow.sendMessage(request("x"));
    slow.halfClose();
    slow.read();
    await until(() => read === 1);
    for (let i = 0; i < 50; i++) await settle();
    assert.ok(seen.length < 400, `${seen.length} messages ahead`);
    slow.cancel();
  });

  it("fails its upload with ABORTED truncated when the connection is cut", async () => {
    seen = [];
    const other = await enclave.session();
    const { call } = other.open("Collect");
    call.sendMessage(bulk(1000));
    await until(() => call.id !== 0);
    await settle();
    other.stream.http2.session?.destroy();
    await until(() => seen.length === 1);
    assert.deepEqual(seen, ["truncated"]);
  });

  it("answers messages while the client still sends", async () => {
    const { call, answer, messages } = session.open("Chat");
    for (let i = 0; i < 20; i++) {
      call.sendMessage(request(String(i)));
      await until(() => messages.length === i + 1);
    }
    call.halfClose();
    const { end } = await answer;
    assert.equal(end.kind === "status" && end.status.code, 0);
    assert.deepEqual(
      messages.map(text),
      Array.from({ length: 20 }, (_, i) => String(i)),
    );
  });
});

describe("the limits of a session's calls", () => {
  it("refuse a call while too many are at work, cancelled ones included", async () => {
    seen = [];
    const enclave = await TestEnclave.start(add, { limits: { maxConcurrentCalls: 2 } });
    const session = await enclave.session();
    for (let i = 0; i < 2; i++) {
      const { call } = session.open("Unary");
      call.sendMessage(request("x"));
      call.halfClose();
      await until(() => seen.filter((event) => event === "started").length === i + 1);
      call.cancel();
      await until(() => seen.filter((event) => event === "cancelled").length === i + 1);
    }
    // Neither handler has answered: to the enclave, both are at work.
    const { end } = await session.unary("Unary", request("x"));
    assert.equal(end.kind === "refused" && end.status.code, 8);
    assert.equal(end.kind === "refused" && end.elsewhere, true);
    await enclave.stop();
  });

  it("end the call that keeps most when the budget of all sessions is spent", async () => {
    const enclave = await TestEnclave.start(
      (server) =>
        server.addService(BehaviorService, {
          // Takes nothing of what is uploaded.
          chat: (call) => void call.on("cancelled", () => seen.push("cancelled")),
          unary: (_call, callback) => callback(null, response("fine")),
        }),
      { limits: { maxBufferedBytes: 1 << 20, initialCredit: 4 << 20 } },
    );
    seen = [];
    const greedy = await enclave.session();
    const modest = await enclave.session();
    const { call, answer } = greedy.open("Chat");
    for (let i = 0; i < 30; i++) call.sendMessage(bulk(100_000));
    const { end } = await answer;
    assert.equal(end.kind === "status" && end.status.code, 8);
    assert.deepEqual(seen, ["cancelled"]);
    const { messages } = await modest.unary("Unary", request("x"));
    assert.deepEqual(messages.map(text), ["fine"]);
    await enclave.stop();
  });
});
