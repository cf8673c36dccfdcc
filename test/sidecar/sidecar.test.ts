import assert from "node:assert/strict";
import { constants } from "node:http2";
import { after, before, beforeEach, describe, it } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { status as Code } from "@grpc/grpc-js";
import { type Sidecar, startSidecar } from "../../services/sidecar/index.ts";
import { framed } from "../support/framed.ts";
import { PlainClient, statusOf, valuesOf } from "../support/plain-client.ts";
import { RawEnclave } from "../support/raw-enclave.ts";

const { NGHTTP2_NO_ERROR } = constants;

describe("the sidecar, before a client of bare HTTP/2", { timeout: 30_000 }, () => {
  let enclave: RawEnclave;
  let sidecar: Sidecar;
  let client: PlainClient;
  before(async () => {
    enclave = await RawEnclave.start();
    sidecar = await startSidecar({
      listen: "127.0.0.1:0",
      target: enclave.address,
      policy: enclave.simulator.policyOptions(),
    });
    client = await PlainClient.connect(sidecar.address);
  });
  beforeEach(() => {
    enclave.calls.length = 0;
  });
  after(async () => {
    client.close();
    await sidecar.close(0);
    await enclave.stop();
  });

  it("opens a call with its path, authority and metadata in order", async () => {
    const call = client.open("/a.B/C", {
      ":authority": "api.example:7",
      b: ["1", "2"],
      "a-bin": ["AP8B", "AA=="],
      "user-agent": "test/1",
    });
    const { header, call: open } = await enclave.call();
    assert.equal(header.method, "/a.B/C");
    assert.equal(header.authority, "api.example:7");
    assert.deepEqual(
      header.metadata.map(({ key, value }) => [key, Buffer.from(value).toString("hex")]),
      [
        ["b", "31"],
        ["b", "32"],
        ["a-bin", "00ff01"],
        ["a-bin", "00"],
        ["user-agent", Buffer.from("test/1").toString("hex")],
      ],
    );
    assert.equal(open.deadlineMs, Infinity);
    call.reset();
  });

  it("carries messages of any shape both ways, in order, and the status in trailers", async () => {
    const { stream, answer } = client.open("/a.B/C");
    const sent = [Buffer.from("one"), Buffer.alloc(0), Buffer.alloc(70_000, 7)];
    for (const message of sent) stream.write(framed(message));
    stream.end();
    const call = await enclave.call();
    await call.until(({ halfClosed }) => halfClosed);
    assert.deepEqual(
      call.messages.map(({ message }) => message.length),
      [3, 0, 70_000],
    );
    assert.ok(call.messages[2]?.message.equals(Buffer.alloc(70_000, 7)));
    call.call.sendHeaders({
      metadata: [
        { key: "x", value: Buffer.from("1") },
        { key: "x", value: Buffer.from("2") },
        { key: "y-bin", value: Uint8Array.of(0, 255) },
      ],
      encoding: "",
    });
    for (const { message } of call.messages) call.call.sendMessage(message);
    call.end(5, "nö: 100 %", [{ key: "t", value: Buffer.from("3") }]);
    const { headers, messages, trailers } = await answer;
    assert.deepEqual(valuesOf(headers, ":status"), ["200"]);
    assert.deepEqual(valuesOf(headers, "content-type"), ["application/grpc"]);
    assert.deepEqual(valuesOf(headers, "x"), ["1", "2"]);
    assert.deepEqual(valuesOf(headers, "y-bin"), ["AP8"]);
    assert.deepEqual(valuesOf(headers, "date"), []);
    assert.deepEqual(
      messages.map(({ message }) => message.length),
      [3, 0, 70_000],
    );
    assert.deepEqual(valuesOf(trailers, "grpc-status"), ["5"]);
    assert.deepEqual(valuesOf(trailers, "grpc-message"), ["n%C3%B6:%20100%20%25"]);
    assert.deepEqual(valuesOf(trailers, "t"), ["3"]);
  });

  it("reads messages that DATA splits at any byte", async () => {
    const { stream, answer } = client.open("/a.B/C");
    const bytes = Buffer.concat([framed(Buffer.from("first")), framed(Buffer.from("second"))]);
    for (const byte of bytes) {
      stream.write(Buffer.of(byte));
      await new Promise((resolve) => setImmediate(resolve));
    }
    stream.end();
    const call = await enclave.call();
    await call.until(({ halfClosed }) => halfClosed);
    assert.deepEqual(
      call.messages.map(({ message }) => String(message)),
      ["first", "second"],
    );
    call.answer([]);
    await answer;
  });

  it("carries the flag of compressed messages, and the encodings, both ways", async () => {
    const { stream, answer } = client.open("/a.B/C", {
      "grpc-encoding": "gzip",
      "grpc-accept-encoding": "identity,deflate,gzip",
    });
    stream.write(framed(Buffer.from("squeezed"), true));
    stream.end(framed(Buffer.from("not")));
    const call = await enclave.call();
    await call.until(({ halfClosed }) => halfClosed);
    assert.equal(call.header.encoding, "gzip");
    assert.deepEqual(call.metadata("grpc-accept-encoding"), ["identity,deflate,gzip"]);
    assert.deepEqual(
      call.messages.map(({ compressed }) => compressed),
      [true, false],
    );
    call.call.sendHeaders({ metadata: [], encoding: "deflate" });
    call.call.sendMessage(Buffer.from("plain"));
    call.call.sendMessage(Buffer.from("squeezed"), true);
    call.end(0);
    const { headers, messages } = await answer;
    assert.deepEqual(valuesOf(headers, "grpc-encoding"), ["deflate"]);
    assert.deepEqual(
      messages.map(({ compressed }) => compressed),
      [false, true],
    );
  });

  it("answers with headers before the first message, when the enclave does", async () => {
    const { stream, answer } = client.open("/a.B/C");
    const call = await enclave.call();
    call.call.sendHeaders({ metadata: [], encoding: "" });
    await new Promise((resolve) => stream.once("response", resolve));
    call.end(0);
    assert.equal(statusOf(await answer).code, Code.OK);
  });

  it("sends a status with nothing before it as trailers only", async () => {
    const { stream, answer } = client.open("/a.B/C");
    stream.end(framed(Buffer.alloc(0)));
    (await enclave.call()).end(7, "no", [{ key: "why", value: Buffer.from("x") }]);
    const { headers, trailers } = await answer;
    assert.equal(trailers, undefined);
    assert.deepEqual(valuesOf(headers, "grpc-status"), ["7"]);
    assert.deepEqual(valuesOf(headers, "why"), ["x"]);
    assert.deepEqual(valuesOf(headers, "content-type"), ["application/grpc"]);
  });

  it("takes a request that is a header block and nothing else", async () => {
    const { answer } = client.open("/a.B/C", {}, true);
    const call = await enclave.call();
    await call.until(({ halfClosed }) => halfClosed);
    assert.deepEqual(call.messages, []);
    call.answer(["reply"]);
    assert.equal(String((await answer).messages[0]?.message), "reply");
  });

  it("names the enclave in the headers, or in the trailers that stand alone", async () => {
    const pcr0 = enclave.simulator.policyOptions().referenceValues[0].pcr0;
    const whole = client.open("/a.B/C");
    (await enclave.call(1)).answer(["x"]);
    const alone = client.open("/a.B/C");
    (await enclave.call(2)).end(3);
    for (const { headers, trailers } of [await whole.answer, await alone.answer]) {
      assert.deepEqual(valuesOf(headers, "sealrpc-module-id"), [enclave.simulator.moduleId]);
      assert.deepEqual(valuesOf(headers, "sealrpc-pcr0"), [pcr0]);
      assert.deepEqual(valuesOf(trailers, "sealrpc-pcr0"), []);
    }
    assert.deepEqual(valuesOf((await whole.answer).trailers, "sealrpc-outcome"), []);
    assert.deepEqual(valuesOf((await alone.answer).headers, "sealrpc-outcome"), ["executed"]);
  });

  it("drops what either side says under the sidecar's keys", async () => {
    const forged = (key: string) => ({ key, value: Buffer.from("forged") });
    const { answer } = client.open("/a.B/C", { "sealrpc-pcr0": "forged", "sealrpc-x": "forged" });
    const call = await enclave.call();
    assert.deepEqual(call.header.metadata, []);
    call.call.sendHeaders({
      metadata: [forged("sealrpc-pcr0"), forged("sealrpc-x")],
      encoding: "",
    });
    call.end(9, "", [forged("sealrpc-outcome"), forged("sealrpc-code")]);
    const { headers, trailers } = await answer;
    assert.doesNotMatch(JSON.stringify([headers, trailers]), /forged/);
    assert.deepEqual(valuesOf(trailers, "sealrpc-outcome"), ["executed"]);
  });

  it("says INTERNAL for trailers that gRPC does not allow, and keeps the connection", async () => {
    const { answer } = client.open("/a.B/C");
    (await enclave.call()).end(0, "", [{ key: "x", value: Buffer.from("a\r\nb") }]);
    assert.equal(statusOf(await answer).code, Code.INTERNAL);
    assert.equal(client.session.destroyed, false);
  });

  it("says INTERNAL for headers that gRPC does not allow, and cancels the call", async () => {
    const { answer } = client.open("/a.B/C");
    const call = await enclave.call();
    call.call.sendHeaders({ metadata: [{ key: "x", value: Buffer.of(7) }], encoding: "" });
    assert.equal(statusOf(await answer).code, Code.INTERNAL);
    await call.until(({ cancelReason }) => cancelReason === "cancelled");
  });

  it("replaces lone surrogates in a status text", async () => {
    const { answer } = client.open("/a.B/C");
    (await enclave.call()).end(2, "a\ud800b");
    assert.equal(decodeURIComponent(statusOf(await answer).message), "a\ufffdb");
  });

  for (const [unit, leastMs, mostMs] of [
    ["2H", 7_100_000, 7_200_000],
    ["3M", 170_000, 180_000],
    ["90S", 80_000, 90_000],
    ["60000m", 50_000, 60_000],
    ["60000000u", 50_000, 60_000],
  ] as const) {
    it(`carries a deadline of ${unit}`, async () => {
      const call = client.open("/a.B/C", { "grpc-timeout": unit });
      const leftMs = (await enclave.call()).call.deadlineMs - performance.now();
      assert.ok(leftMs > leastMs && leftMs <= mostMs + 5_000, `${leftMs}`);
      call.reset();
    });
  }

  it("ends a call at its deadline, with what is known of it, and tells the enclave", async () => {
    const { answer } = client.open("/a.B/C", { "grpc-timeout": "100m" });
    const call = await enclave.call();
    const ended = await answer;
    assert.equal(statusOf(ended).code, Code.DEADLINE_EXCEEDED);
    assert.match(valuesOf(ended.headers, "sealrpc-outcome")[0] ?? "", /^(unknown|executed)$/);
    await call.until(({ cancelReason }) => cancelReason !== undefined);
  });

  it("sends nothing whose deadline has passed", async () => {
    const { answer } = client.open("/a.B/C", { "grpc-timeout": "0n" }, true);
    const ended = await answer;
    assert.equal(statusOf(ended).code, Code.DEADLINE_EXCEEDED);
    assert.deepEqual(valuesOf(ended.headers, "sealrpc-outcome"), ["not-executed"]);
    assert.equal(enclave.calls.length, 0);
  });

  for (const [what, headers] of [
    ["a timeout that is none", { "grpc-timeout": "1s" }],
    ["a timeout of nine digits", { "grpc-timeout": "123456789m" }],
    ["a binary value that is no base64", { "x-bin": "*" }],
    ["a text value beyond ASCII", { x: "ü" }],
    ["a content subtype without a name", { "content-type": "application/grpc+" }],
    ["a content subtype beyond ASCII", { "content-type": "application/grpc+ü" }],
  ] as const) {
    it(`says INTERNAL for ${what}, and sends nothing`, async () => {
      const { answer } = client.open("/a.B/C", headers, true);
      assert.equal(statusOf(await answer).code, Code.INTERNAL);
      assert.equal(enclave.calls.length, 0);
    });
  }

  it("says 415 to what is no gRPC", async () => {
    for (const headers of [
      { "content-type": "application/json" },
      { "content-type": "application/grpcx" },
      { ":method": "GET" },
    ]) {
      const { answer } = client.open("/a.B/C", headers, true);
      assert.deepEqual(valuesOf((await answer).headers, ":status"), ["415"]);
    }
    assert.equal(enclave.calls.length, 0);
  });

  it("takes protobuf by either name", async () => {
    for (const type of ["application/grpc", "application/grpc+proto", "application/grpc;a=b"]) {
      const { answer } = client.open("/a.B/C", { "content-type": type }, true);
      const call = await enclave.call(1);
      assert.deepEqual(call.header.metadata, []);
      call.answer([]);
      assert.equal(statusOf(await answer).code, Code.OK);
      enclave.calls.length = 0;
    }
  });

  it("carries any other content subtype both ways", async () => {
    const fields = { "content-type": "application/grpc+json", "grpc-content-subtype": "forged" };
    const { answer } = client.open("/a.B/C", fields, true);
    const call = await enclave.call();
    assert.deepEqual(call.metadata("grpc-content-subtype"), ["json"]);
    const subtype = { key: "grpc-content-subtype", value: Buffer.from("json") };
    call.call.sendHeaders({ metadata: [subtype], encoding: "" });
    call.end(0, "", [subtype]);
    const { headers, trailers } = await answer;
    assert.deepEqual(valuesOf(headers, "content-type"), ["application/grpc+json"]);
    for (const block of [headers, trailers]) {
      assert.deepEqual(valuesOf(block, "grpc-content-subtype"), []);
    }
    assert.deepEqual(valuesOf(trailers, "content-type"), []);
  });

  it("says INTERNAL for a content subtype of the enclave that has no name", async () => {
    const { answer } = client.open("/a.B/C", {}, true);
    const subtype = { key: "grpc-content-subtype", value: Buffer.from("json, text/html") };
    (await enclave.call()).call.sendHeaders({ metadata: [subtype], encoding: "" });
    const { headers } = await answer;
    assert.equal(statusOf(await answer).code, Code.INTERNAL);
    assert.deepEqual(valuesOf(headers, "content-type"), ["application/grpc"]);
  });

  it("says INTERNAL for a request that ends inside a message, and does not end the upload", async () => {
    const { stream, answer } = client.open("/a.B/C");
    stream.write(framed(Buffer.from("whole")));
    const call = await enclave.call();
    stream.end(framed(Buffer.from("cut")).subarray(0, 6));
    assert.equal(statusOf(await answer).code, Code.INTERNAL);
    await call.until(({ cancelReason }) => cancelReason === "cancelled");
    assert.equal(call.halfClosed, false);
  });

  it("says INTERNAL for a flag byte that gRPC does not know", async () => {
    const { stream, answer } = client.open("/a.B/C");
    stream.end(Buffer.from([2, 0, 0, 0, 0]));
    assert.equal(statusOf(await answer).code, Code.INTERNAL);
  });

  it("says RESOURCE_EXHAUSTED at the prefix of a message beyond the limit", async () => {
    const { stream, answer } = client.open("/a.B/C");
    const call = await enclave.call();
    stream.write(Buffer.from([0, 1, 0, 0, 1]));
    assert.equal(statusOf(await answer).code, Code.RESOURCE_EXHAUSTED);
    await call.until(({ cancelReason }) => cancelReason === "cancelled");
  });

  it("cancels the call when the client resets, and does not end its upload", async () => {
    const plain = client.open("/a.B/C");
    plain.stream.write(framed(Buffer.from("half")));
    const call = await enclave.call();
    await call.until(({ messages }) => messages.length === 1);
    plain.reset();
    await call.until(({ cancelReason }) => cancelReason === "cancelled");
    assert.equal(call.halfClosed, false);
  });

  it("survives a reset in the same packet as what it answers", async () => {
    for (const path of ["/a.B/C", "/grpc.health.v1.Health/Check"]) {
      for (const headers of [{}, { "content-type": "text/html" }, { "grpc-timeout": "x" }]) {
        const plain = client.open(path, headers, true);
        plain.reset();
        await plain.closed;
      }
    }
    const { answer } = client.open("/after/All", {}, true);
    for (let number = 1; ; number++) {
      const call = await enclave.call(number);
      call.end(0);
      if (call.header.method === "/after/All") break;
    }
    assert.equal(statusOf(await answer).code, Code.OK);
  });

  it("cancels every call of a connection that is lost", async () => {
    const other = await PlainClient.connect(sidecar.address);
    other.open("/a.B/C");
    other.open("/a.B/D");
    const calls = [await enclave.call(1), await enclave.call(2)];
    other.close();
    for (const call of calls) await call.until(({ cancelReason }) => cancelReason === "cancelled");
  });

  it("ends in order though the client still sends", async () => {
    const { stream, answer, closed } = client.open("/a.B/C");
    stream.write(framed(Buffer.from("more")));
    (await enclave.call()).answer(["enough"]);
    const { messages, trailers } = await answer;
    assert.equal(messages.length, 1);
    assert.deepEqual(valuesOf(trailers, "grpc-status"), ["0"]);
    assert.equal(await closed, NGHTTP2_NO_ERROR);
  });

  it("keeps an upload back while the enclave does not read", async () => {
    const { stream, answer } = client.open("/a.B/C");
    const call = await enclave.call();
    call.onMessage = () => {};
    let sent = 0;
    const chunk = framed(Buffer.alloc(64 * 1024));
    const write = (): void => {
      while (sent < 400 && stream.write(chunk)) sent += 1;
    };
    stream.on("drain", write);
    write();
    await pause(500);
    assert.ok(sent < 200, `${sent} messages of 64 KiB were taken`);
    call.end(0);
    await answer;
  });

  it("carries 1000 calls at once", async () => {
    const plain = Array.from({ length: 1000 }, (_, number) => {
      const call = client.open("/a.B/C");
      call.stream.end(framed(Buffer.from(String(number))));
      return call;
    });
    await enclave.call(1000);
    for (const call of enclave.calls) {
      await call.until(({ halfClosed }) => halfClosed);
      call.answer([String(call.messages[0]?.message)]);
    }
    const answers = await Promise.all(plain.map(({ answer }) => answer));
    assert.ok(answers.every(({ messages }, i) => String(messages[0]?.message) === String(i)));
  });

  it("carries 60 KiB of metadata, and refuses more without a reset", async () => {
    const fields = (bytes: number) =>
      Object.fromEntries(
        Array.from({ length: bytes / 4096 }, (_, i) => [`k${i}`, "v".repeat(4080)]),
      );
    const fits = client.open("/a.B/C", fields(60 * 1024), true);
    const call = await enclave.call();
    assert.equal(call.header.metadata.length, 15);
    call.answer([]);
    await fits.answer;
    const { answer } = client.open("/a.B/C", fields(72 * 1024), true);
    assert.equal(statusOf(await answer).code, Code.RESOURCE_EXHAUSTED);
  });
});
