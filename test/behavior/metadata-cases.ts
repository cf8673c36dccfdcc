/** Metadata: to the handler, back as headers, and as trailers. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { it } from "./case.ts";
import * as grpc from "@grpc/grpc-js";
import { chat, collect, expand, type Observed, unary } from "./calls.ts";
import type { Way } from "./harness.ts";

const BYTES = Buffer.from([0, 255, 1]);

/** An entry of each sort, for headers or for trailers. */
function entries(prefix: string): grpc.Metadata {
  const metadata = new grpc.Metadata();
  metadata.set(`${prefix}-one`, "printable ASCII: ~!@#$%^&*()");
  metadata.add(`${prefix}-two`, "1");
  metadata.add(`${prefix}-two`, "2");
  metadata.set(`${prefix}-empty`, "");
  metadata.set(`${prefix}-bytes-bin`, BYTES);
  metadata.set(`${prefix}-none-bin`, Buffer.alloc(0));
  return metadata;
}

function both(): grpc.Metadata {
  const metadata = entries("echo");
  metadata.merge(entries("trailing"));
  return metadata;
}

/** gRPC lets a hop join the values of a repeated key with a comma. */
function assertCarried(metadata: grpc.Metadata | undefined, prefix: string): void {
  assert.ok(metadata);
  assert.deepEqual(metadata.get(`${prefix}-one`), ["printable ASCII: ~!@#$%^&*()"]);
  assert.equal(metadata.get(`${prefix}-two`).join(", "), "1, 2");
  assert.deepEqual(metadata.get(`${prefix}-empty`), [""]);
  assert.deepEqual(metadata.get(`${prefix}-bytes-bin`), [BYTES]);
  assert.deepEqual(metadata.get(`${prefix}-none-bin`), [Buffer.alloc(0)]);
}

function assertAnswered({ headers, status }: Observed): void {
  assert.equal(status.code, grpc.status.OK);
  assertCarried(headers, "echo");
  assertCarried(status.metadata, "trailing");
}

export function metadataCases(way: Way): void {
  it("reaches the handler, with repeated, empty and binary values", async () => {
    const { id, observed } = unary(way.stub, { action: "bare", metadata: entries("sent") });
    await observed;
    assertCarried((await way.ledger.call(id)).metadata, "sent");
  });

  it("comes back as headers and as trailers of a unary call", async () => {
    assertAnswered(await unary(way.stub, { action: "echo", metadata: both() }).observed);
  });

  it("comes back as trailers of a client streaming call", async () => {
    const { call, observed } = collect(way.stub, { action: "sum", metadata: both() });
    call.end();
    assertCarried((await observed).status.metadata, "trailing");
  });

  it("comes back as headers and as trailers of a server streaming call", async () => {
    const metadata = both();
    assertAnswered(await expand(way.stub, { action: "count", metadata }, { number: 2 }).observed);
  });

  it("comes back as headers and as trailers of a bidirectional call", async () => {
    const { call, observed } = chat(way.stub, { action: "echo", metadata: both() });
    call.end();
    assertAnswered(await observed);
  });

  it("comes back as trailers of a stream without messages", async () => {
    const { messages, status } = await expand(way.stub, { action: "none", metadata: both() })
      .observed;
    assert.deepEqual(messages, []);
    assertCarried(status.metadata, "trailing");
  });

  it("comes back before the answer, when the handler sends it before", async () => {
    const metadata = entries("echo");
    const { id, call, observed } = unary(way.stub, { action: "headers-first", metadata });
    const [headers] = (await once(call, "metadata")) as [grpc.Metadata];
    assertCarried(headers, "echo");
    (await way.ledger.call(id)).release();
    const { headers: only, status } = await observed;
    assert.deepEqual(only?.get("failure"), [], "headers that are sent again are ignored");
    assert.equal(status.code, grpc.status.OK);
  });

  it("does not come with a bare error", async () => {
    const { headers, status } = await unary(way.stub, { action: "fail-plainly" }).observed;
    assert.equal(headers, undefined);
    assert.equal(status.code, grpc.status.UNKNOWN);
  });

  it("carries 6 KiB in one value", async () => {
    const metadata = new grpc.Metadata();
    const value = "v".repeat(6 * 1024);
    metadata.set("echo-long", value);
    const { headers } = await unary(way.stub, { action: "echo", metadata }).observed;
    assert.deepEqual(headers?.get("echo-long"), [value]);
  });

  it("hides what belongs to the transport from the handler", async () => {
    const { id, observed } = unary(way.stub, { action: "bare", deadline: Date.now() + 600_000 });
    await observed;
    const { metadata } = await way.ledger.call(id);
    const hidden = [
      "grpc-timeout",
      "grpc-encoding",
      "te",
      "content-type",
      ":path",
      "accept-encoding",
    ];
    for (const key of hidden) assert.equal(key in metadata.toJSON(), false, key);
  });

  it("carries a user agent", async () => {
    const { id, observed } = unary(way.stub, { action: "bare" });
    await observed;
    const [agent] = (await way.ledger.call(id)).metadata.get("user-agent");
    assert.equal(typeof agent, "string");
  });
}
