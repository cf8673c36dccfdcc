/** One message in, one out: what arrives, and how it fails. */
import assert from "node:assert/strict";
import { it } from "./case.ts";
import * as grpc from "@grpc/grpc-js";
import { unary } from "./calls.ts";
import { ERROR_DETAILS, ERROR_TEXT } from "./handlers.ts";
import { ACTION_KEY } from "./ledger.ts";
import type { Way } from "./harness.ts";
import { behaviorDefinition, MESSAGE_LIMIT_BYTES } from "./service.ts";

export function unaryCases(way: Way): void {
  it("carries a message with text beyond ASCII both ways", async () => {
    const text = "grüße, 世界, 😀";
    const { messages, status } = await unary(way.stub, { action: "echo" }, { text, number: -7 })
      .observed;
    assert.equal(messages[0]?.text, text);
    assert.equal(messages[0]?.number, -7);
    assert.equal(status.code, grpc.status.OK);
  });

  it("carries an empty message both ways", async () => {
    const { messages } = await unary(way.stub, { action: "bare" }).observed;
    assert.deepEqual(
      messages.map(({ text, data, number }) => ({ text, data: data.length, number })),
      [{ text: "", data: 0, number: 0 }],
    );
  });

  it("carries every byte value", async () => {
    const data = Uint8Array.from({ length: 256 }, (_, index) => index);
    const { messages } = await unary(way.stub, { action: "echo" }, { data }).observed;
    assert.deepEqual(Uint8Array.from(messages[0]?.data ?? []), data);
  });

  it("tells the handler path and authority", async () => {
    const { id, observed } = unary(way.stub, { action: "bare" });
    await observed;
    const seen = await way.ledger.call(id);
    assert.equal(seen.path, "/behavior.v1.BehaviorService/Unary");
    assert.equal(typeof seen.host, "string");
    assert.equal(typeof seen.peer, "string");
  });

  it("tells the handler the authority that the call names", async () => {
    const { id, observed } = unary(way.stub, { action: "bare", host: "other.example:7" });
    await observed;
    assert.equal((await way.ledger.call(id)).host, "other.example:7");
  });

  it("runs the handler once for one call", async () => {
    const { id, observed } = unary(way.stub, { action: "bare" });
    await observed;
    assert.equal(way.ledger.runs(id).length, 1);
  });

  it("gives an error's code, text, details and trailers", async () => {
    const { messages, status } = await unary(
      way.stub,
      { action: "fail" },
      { number: grpc.status.FAILED_PRECONDITION },
    ).observed;
    assert.deepEqual(messages, []);
    assert.equal(status.code, grpc.status.FAILED_PRECONDITION);
    assert.equal(status.details, ERROR_TEXT);
    assert.deepEqual(status.metadata.get("grpc-status-details-bin"), [ERROR_DETAILS]);
    assert.deepEqual(status.metadata.get("failure"), ["trailing"]);
  });

  for (const [name, code] of Object.entries(grpc.status)) {
    if (typeof code !== "number" || code === grpc.status.OK) continue;
    it(`gives ${name} as the handler gave it`, async () => {
      const { status } = await unary(way.stub, { action: "fail" }, { number: code }).observed;
      assert.equal(status.code, code);
      assert.equal(status.details, ERROR_TEXT);
    });
  }

  it("gives UNKNOWN and the text of an error without a code", async () => {
    const { status } = await unary(way.stub, { action: "fail-plainly" }).observed;
    assert.equal(status.code, grpc.status.UNKNOWN);
    assert.equal(status.details, ERROR_TEXT);
  });

  it("gives UNKNOWN for a handler that throws, and hides the text", async () => {
    const { status } = await unary(way.stub, { action: "throw" }).observed;
    assert.equal(status.code, grpc.status.UNKNOWN);
    assert.doesNotMatch(status.details, /thrown by the handler/);
  });

  it("gives UNIMPLEMENTED for a method without a handler", async () => {
    const error = await new Promise<grpc.ServiceError | null>((resolve) => {
      way.stub.missing({}, new grpc.Metadata(), {}, resolve);
    });
    assert.equal(error?.code, grpc.status.UNIMPLEMENTED);
  });

  it("gives UNIMPLEMENTED for a method of no service", async () => {
    const error = await new Promise<grpc.ServiceError | null>((resolve) => {
      const same = (bytes: Buffer): Buffer => bytes;
      way.stub.makeUnaryRequest("/no.Service/Method", same, same, Buffer.alloc(3), resolve);
    });
    assert.equal(error?.code, grpc.status.UNIMPLEMENTED);
  });

  it("gives INTERNAL for a request that the server cannot parse, and runs nothing", async () => {
    const error = await new Promise<grpc.ServiceError | null>((resolve) => {
      const same = (bytes: Buffer): Buffer => bytes;
      const garbage = Buffer.from("ffffffff", "hex");
      way.stub.makeUnaryRequest("/behavior.v1.BehaviorService/Unary", same, same, garbage, resolve);
    });
    assert.equal(error?.code, grpc.status.INTERNAL);
  });

  it("gives INTERNAL for a response that the client cannot parse", async () => {
    const error = await new Promise<grpc.ServiceError | null>((resolve) => {
      const { path, requestSerialize } = behaviorDefinition.unary;
      const parse = (): never => {
        throw new Error("not a response");
      };
      const metadata = new grpc.Metadata();
      metadata.set(ACTION_KEY, "bare");
      way.stub.makeUnaryRequest(path, requestSerialize, parse, {}, metadata, resolve);
    });
    assert.equal(error?.code, grpc.status.INTERNAL);
  });

  it("carries 8 MiB both ways", async () => {
    const data = new Uint8Array(8 << 20).fill(5);
    const { messages } = await unary(way.stub, { action: "echo" }, { data }).observed;
    assert.ok(Buffer.from(messages[0]?.data ?? []).equals(data));
  });

  it("refuses a request beyond the limit, and the next call works", async () => {
    const data = new Uint8Array(MESSAGE_LIMIT_BYTES + 1);
    const { id, observed } = unary(way.stub, { action: "measure" }, { data });
    assert.equal((await observed).status.code, grpc.status.RESOURCE_EXHAUSTED);
    assert.equal(way.ledger.runs(id).length, 0);
    const next = await unary(way.stub, { action: "measure" }, { data: new Uint8Array(9) }).observed;
    assert.equal(next.messages[0]?.number, 9);
  });

  it("refuses a response beyond the limit, and the next call works", async () => {
    const number = MESSAGE_LIMIT_BYTES + 1;
    const { status } = await unary(way.stub, { action: "blow" }, { number }).observed;
    assert.equal(status.code, grpc.status.RESOURCE_EXHAUSTED);
    const next = await unary(way.stub, { action: "blow" }, { number: 9 }).observed;
    assert.equal(next.messages[0]?.data.length, 9);
  });
}
