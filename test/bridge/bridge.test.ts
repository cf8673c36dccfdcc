import assert from "node:assert/strict";
import { constants } from "node:http2";
import { after, before, beforeEach, describe, it } from "node:test";
import { status as Code } from "@grpc/grpc-js";
import { Simulator } from "../../attestation/nsm/simulator.ts";
import type { Entry, Status } from "../../channel/call-message.ts";
import type { OpenOptions } from "../../channel/client-call.ts";
import { startBridge } from "../../services/bridge/index.ts";
import { Bridged, open } from "../support/bridged.ts";
import { framed, unframed } from "../support/framed.ts";
import type { Answer, RawSession } from "../support/raw-client.ts";

const entry = (key: string, value: string | Uint8Array): Entry => ({
  key,
  value: typeof value === "string" ? Buffer.from(value) : value,
});

const textOf = (bytes: Uint8Array = Buffer.of()): string => Buffer.from(bytes).toString("latin1");

/** The sealed status that a call ended with, and what it says of the call. */
function endOf({ end }: Answer): {
  kind: string;
  code: number;
  message: string;
  trailers: string[];
} {
  assert.ok(end.kind === "status" || end.kind === "refused", end.kind);
  const { code, message, trailers }: Status = end.status;
  const texts = trailers.map(({ key, value }) => `${key}=${textOf(value)}`);
  return { kind: end.kind, code, message, trailers: texts };
}

describe("the bridge, before an application of bare HTTP/2", { timeout: 30_000 }, () => {
  let bridged: Bridged;
  let session: RawSession;
  before(async () => {
    bridged = await Bridged.start();
    session = await bridged.session();
  });
  beforeEach(() => {
    bridged.application.calls.length = 0;
  });
  after(() => bridged.stop());

  it("says to the application what the client said", async () => {
    const { call } = open(session, "/a.B/C", {
      authority: "api.example:7",
      encoding: "gzip",
      deadlineMs: performance.now() + 60_000,
      metadata: [
        entry("x", "1"),
        entry("y-bin", Uint8Array.of(0, 255)),
        entry("x", "2"),
        entry("grpc-accept-encoding", "gzip"),
        entry("user-agent", "test/1"),
      ],
    });
    const received = await bridged.application.call(1);
    assert.deepEqual(received.field(":method"), ["POST"]);
    assert.deepEqual(received.field(":path"), ["/a.B/C"]);
    assert.deepEqual(received.field(":authority"), ["api.example:7"]);
    assert.deepEqual(received.field("content-type"), ["application/grpc"]);
    assert.deepEqual(received.field("te"), ["trailers"]);
    assert.deepEqual(received.field("grpc-encoding"), ["gzip"]);
    assert.deepEqual(received.field("grpc-accept-encoding"), ["gzip"]);
    assert.deepEqual(received.field("user-agent"), ["test/1"]);
    assert.deepEqual(received.field("x"), ["1", "2"]);
    assert.deepEqual(received.field("y-bin"), ["AP8"]);
    const [timeout = ""] = received.field("grpc-timeout");
    assert.match(timeout, /^[45]\d{4}m$|^60000m$/);
    call.cancel();
  });

  it("carries a content subtype both ways", async () => {
    const { answer } = open(session, "/a.B/C", {
      metadata: [entry("grpc-content-subtype", "json")],
    });
    const received = await bridged.application.call(1);
    assert.deepEqual(received.field("content-type"), ["application/grpc+json"]);
    assert.deepEqual(received.field("grpc-content-subtype"), []);
    received.answer(
      Buffer.alloc(0),
      { "grpc-status": "0" },
      { "content-type": "application/grpc+json" },
    );
    const { header } = await answer;
    const subtypes = header?.metadata.filter(({ key }) => key === "grpc-content-subtype");
    assert.deepEqual(
      subtypes?.map(({ value }) => textOf(value)),
      ["json"],
    );
  });

  it("refuses a content subtype that has no name", async () => {
    const { answer } = open(session, "/a.B/C", {
      metadata: [entry("grpc-content-subtype", "json, text/html")],
    });
    const { kind, code } = endOf(await answer);
    assert.deepEqual([kind, code], ["refused", Code.UNIMPLEMENTED]);
    assert.equal(bridged.application.calls.length, 0);
  });

  it("says nothing of a deadline where there is none", async () => {
    const { call } = open(session, "/a.B/C");
    const received = await bridged.application.call(1);
    assert.deepEqual(received.field("grpc-timeout"), []);
    assert.deepEqual(received.field(":authority"), ["localhost"]);
    call.cancel();
  });

  it("carries messages of any shape both ways, and the status", async () => {
    const { call, answer } = open(session, "/a.B/C", { encoding: "gzip" });
    call.sendMessage(Buffer.from("one"));
    call.sendMessage(Buffer.alloc(0));
    call.sendMessage(Buffer.alloc(70_000, 7), true);
    call.halfClose();
    const received = await bridged.application.call(1);
    await received.until(({ ended }) => ended);
    const messages = unframed(received.data);
    assert.deepEqual(
      messages.map(({ message }) => message.length),
      [3, 0, 70_000],
    );
    assert.deepEqual(
      messages.map(({ compressed }) => compressed),
      [false, false, true],
    );
    received.answer(
      Buffer.concat([framed(Buffer.from("reply")), framed(Buffer.alloc(40_000, 9), true)]),
      { "grpc-status": "5", "grpc-message": "n%C3%B6 %zz", "t-bin": "AA==" },
      { "grpc-encoding": "gzip", x: ["1", "2"] },
    );
    const { header, messages: replies, end } = await answer;
    assert.equal(header?.encoding, "gzip");
    const texts = header?.metadata.map(({ key, value }) => `${key}=${textOf(value)}`) ?? [];
    assert.deepEqual(
      texts.filter((text) => text.startsWith("x")),
      ["x=1", "x=2"],
    );
    assert.deepEqual(
      replies.map(({ length }) => length),
      [5, 40_000],
    );
    assert.ok(end.kind === "status");
    assert.equal(end.status.code, 5);
    assert.equal(end.status.message, "n%C3%B6 %zz");
    assert.deepEqual(
      end.status.trailers.map(({ key, value }) => [key, ...value]),
      [["t-bin", 0]],
    );
  });

  it("takes a status with nothing before it", async () => {
    const { answer } = open(session, "/a.B/C");
    const { stream } = await bridged.application.call(1);
    const fields = { "content-type": "application/grpc", "grpc-status": "7", "grpc-message": "no" };
    stream.respond({ ":status": 200, ...fields }, { endStream: true });
    const { header } = await answer;
    assert.equal(header, undefined);
    const { kind, code, message } = endOf(await answer);
    assert.deepEqual([kind, code, message], ["status", 7, "no"]);
  });

  it("drops what a client, or the application, says under this library's keys", async () => {
    const metadata = [entry("sealrpc-caller-pcr0", "forged"), entry("sealrpc-x", "forged")];
    const { answer } = open(session, "/a.B/C", { metadata });
    const received = await bridged.application.call(1);
    assert.doesNotMatch(received.raw.join(), /forged|sealrpc/);
    received.answer(
      Buffer.alloc(0),
      { "grpc-status": "0", "sealrpc-outcome": "forged" },
      { "sealrpc-pcr0": "forged" },
    );
    const { header } = await answer;
    assert.deepEqual(
      header?.metadata.filter(({ key }) => key.startsWith("sealrpc")),
      [],
    );
    assert.deepEqual(endOf(await answer).trailers, []);
  });

  for (const [what, options] of [
    ["a method that is no path", { method: "a.B/C" }],
    ["a method with a space", { method: "/a.B/C D" }],
    ["a method with a line break", { method: "/a.B/C\r\nx: y" }],
    ["an authority with a space", { authority: "a b" }],
    ["an encoding with a line break", { encoding: "gzip\r\nx: y" }],
    ["a value with a line break", { metadata: [entry("x", "1\r\n2")] }],
  ] as const) {
    it(`refuses ${what}, and sends nothing`, async () => {
      const { method = "/a.B/C", ...rest }: Partial<OpenOptions> = options;
      const { answer } = open(session, method, rest);
      const { kind, code } = endOf(await answer);
      assert.deepEqual([kind, code], ["refused", Code.UNIMPLEMENTED]);
      const { call } = open(session, "/a.B/Next");
      assert.deepEqual((await bridged.application.call(1)).field(":path"), ["/a.B/Next"]);
      call.cancel();
    });
  }

  for (const [httpStatus, code] of [
    [400, Code.INTERNAL],
    [401, Code.UNAUTHENTICATED],
    [403, Code.PERMISSION_DENIED],
    [404, Code.UNIMPLEMENTED],
    [429, Code.UNAVAILABLE],
    [502, Code.UNAVAILABLE],
    [503, Code.UNAVAILABLE],
    [504, Code.UNAVAILABLE],
    [418, Code.UNKNOWN],
    [500, Code.UNKNOWN],
  ] as const) {
    it(`gives ${Code[code]} for HTTP status ${httpStatus}, with a body and without`, async () => {
      for (const [number, endStream] of [
        [1, true],
        [2, false],
      ] as const) {
        const { answer } = open(session, "/a.B/C");
        const { stream } = await bridged.application.call(number);
        stream.respond({ ":status": httpStatus, "content-type": "text/html" }, { endStream });
        if (!endStream) stream.end("<html>");
        const ended = endOf(await answer);
        assert.deepEqual([ended.kind, ended.code], ["status", code]);
      }
    });
  }

  it("gives UNKNOWN for an answer that is no gRPC, and for a status that is no number", async () => {
    const page = open(session, "/a.B/C");
    const first = await bridged.application.call(1);
    first.stream.respond({ ":status": 200, "content-type": "text/plain" });
    first.stream.end("hello");
    assert.equal(endOf(await page.answer).code, Code.UNKNOWN);
    for (const [number, status] of [
      [2, "17"],
      [3, "-1"],
      [4, "ok"],
    ] as const) {
      const { answer } = open(session, "/a.B/C");
      const call = await bridged.application.call(number);
      call.answer(Buffer.alloc(0), { "grpc-status": status });
      assert.equal(endOf(await answer).code, Code.UNKNOWN);
    }
  });

  for (const [name, reset, code] of [
    ["NO_ERROR", constants.NGHTTP2_NO_ERROR, Code.INTERNAL],
    ["PROTOCOL_ERROR", constants.NGHTTP2_PROTOCOL_ERROR, Code.INTERNAL],
    ["INTERNAL_ERROR", constants.NGHTTP2_INTERNAL_ERROR, Code.INTERNAL],
    ["CANCEL", constants.NGHTTP2_CANCEL, Code.CANCELLED],
    ["ENHANCE_YOUR_CALM", constants.NGHTTP2_ENHANCE_YOUR_CALM, Code.RESOURCE_EXHAUSTED],
    ["INADEQUATE_SECURITY", constants.NGHTTP2_INADEQUATE_SECURITY, Code.PERMISSION_DENIED],
  ] as const) {
    it(`gives ${Code[code]} for a reset with ${name}, before an answer and inside one`, async () => {
      const before = open(session, "/a.B/C");
      (await bridged.application.call(1)).stream.close(reset);
      const first = endOf(await before.answer);
      assert.deepEqual([first.kind, first.code], ["status", code]);
      const inside = open(session, "/a.B/C");
      const { stream } = await bridged.application.call(2);
      stream.respond({ ":status": 200, "content-type": "application/grpc" });
      stream.write(framed(Buffer.from("part")));
      await new Promise((resolve) => setTimeout(resolve, 20));
      stream.close(reset);
      const second = endOf(await inside.answer);
      assert.deepEqual([second.kind, second.code], ["status", code]);
    });
  }

  it("refuses a call that the application refused to take, as HTTP/2 means it", async () => {
    const { call, answer } = open(session, "/a.B/C");
    call.sendMessage(Buffer.from("never seen"));
    (await bridged.application.call(1)).stream.close(constants.NGHTTP2_REFUSED_STREAM);
    const { kind, code } = endOf(await answer);
    assert.deepEqual([kind, code], ["refused", Code.UNAVAILABLE]);
  });

  it("does not believe a refusal that comes after an answer began", async () => {
    const { answer } = open(session, "/a.B/C");
    const { stream } = await bridged.application.call(1);
    stream.respond({ ":status": 200, "content-type": "application/grpc" });
    await new Promise((resolve) => setTimeout(resolve, 20));
    stream.close(constants.NGHTTP2_REFUSED_STREAM);
    const { kind, code } = endOf(await answer);
    assert.deepEqual([kind, code], ["status", Code.UNAVAILABLE]);
  });

  it("gives INTERNAL for an answer that ends inside a message, or without a status", async () => {
    const cut = open(session, "/a.B/C");
    const first = await bridged.application.call(1);
    first.answer(framed(Buffer.from("whole")).subarray(0, 7));
    assert.equal(endOf(await cut.answer).code, Code.INTERNAL);
    const bare = open(session, "/a.B/C");
    const { stream } = await bridged.application.call(2);
    stream.respond({ ":status": 200, "content-type": "application/grpc" });
    stream.end(framed(Buffer.from("whole")));
    const ended = endOf(await bare.answer);
    assert.equal(ended.code, Code.INTERNAL);
  });

  it("gives INTERNAL for metadata that gRPC does not allow, in any block", async () => {
    for (const [number, headers, trailers] of [
      [1, { "x-bin": "*" }, { "grpc-status": "0" }],
      [2, {}, { "grpc-status": "0", "x-bin": "*" }],
    ] as const) {
      const { answer } = open(session, "/a.B/C");
      (await bridged.application.call(number)).answer(Buffer.alloc(0), trailers, headers);
      assert.equal(endOf(await answer).code, Code.INTERNAL);
    }
  });

  it("gives RESOURCE_EXHAUSTED for an answer beyond the limit, and resets the stream", async () => {
    const { answer } = open(session, "/a.B/C");
    const received = await bridged.application.call(1);
    received.stream.respond({ ":status": 200, "content-type": "application/grpc" });
    received.stream.write(Buffer.from([0, 1, 0, 0, 1]));
    assert.equal(endOf(await answer).code, Code.RESOURCE_EXHAUSTED);
    await received.until(({ aborted }) => aborted);
  });

  for (const [what, stop] of [
    ["cancelled", (call: { cancel(): void }) => call.cancel()],
    ["at its deadline", () => {}],
  ] as const) {
    it(`resets an upload that is ${what}, and never ends it`, async () => {
      const options = what === "cancelled" ? {} : { deadlineMs: performance.now() + 150 };
      const { call, answer } = open(session, "/a.B/C", options);
      call.sendMessage(Buffer.from("half"));
      const received = await bridged.application.call(1);
      await received.until(({ data }) => data.length > 0);
      stop(call);
      await received.until(({ aborted }) => aborted);
      assert.equal(received.ended, false);
      assert.equal(received.stream.rstCode, constants.NGHTTP2_CANCEL);
      await answer;
    });
  }

  it("resets an upload whose session is lost, and never ends it", async () => {
    const other = await bridged.session();
    const { call } = open(other, "/a.B/C");
    call.sendMessage(Buffer.from("half"));
    const received = await bridged.application.call(1);
    await received.until(({ data }) => data.length > 0);
    other.stream.http2.destroy();
    await received.until(({ aborted }) => aborted);
    assert.equal(received.ended, false);
  });

  it("resets what is left of an upload when the application ended before", async () => {
    const { call, answer } = open(session, "/a.B/C");
    call.sendMessage(Buffer.from("more to come"));
    const received = await bridged.application.call(1);
    received.answer(framed(Buffer.from("enough")));
    const { messages } = await answer;
    assert.equal(textOf(messages[0]), "enough");
    await received.closed;
    assert.equal(received.stream.rstCode, constants.NGHTTP2_CANCEL);
  });

  it("keeps answers back while the client does not read", async () => {
    const options = { method: "/a.B/C", metadata: [] };
    let received = 0;
    const call = session.session.open(options, {
      onHeaders: () => {},
      onMessage: () => (received += 1),
      onEnd: () => {},
    });
    const { stream } = await bridged.application.call(1);
    stream.respond({ ":status": 200, "content-type": "application/grpc" });
    let sent = 0;
    const chunk = framed(Buffer.alloc(64 * 1024));
    const write = (): void => {
      while (sent < 400 && stream.write(chunk)) sent += 1;
    };
    stream.on("drain", write);
    write();
    await new Promise((resolve) => setTimeout(resolve, 500));
    assert.ok(sent < 200, `${sent} messages of 64 KiB were taken`);
    assert.equal(received, 0);
    call.cancel();
  });
});

describe("a bridge whose application goes away", { timeout: 30_000 }, () => {
  let bridged: Bridged;
  let session: RawSession;
  before(async () => {
    bridged = await Bridged.start();
    session = await bridged.session();
  });
  after(() => bridged.stop());

  it("ends calls that it had, and asks that they not be repeated", async () => {
    const { application } = bridged;
    const early = open(session, "/a.B/C");
    const late = open(session, "/a.B/C");
    late.call.halfClose();
    await application.call(1);
    const { stream } = await application.call(2);
    stream.respond({ ":status": 200, "content-type": "application/grpc" });
    stream.write(framed(Buffer.from("a part of a message")).subarray(0, 9));
    await new Promise((resolve) => setTimeout(resolve, 20));
    await application.down();
    for (const { answer } of [early, late]) {
      assert.deepEqual(endOf(await answer), {
        kind: "status",
        code: Code.UNAVAILABLE,
        message: "the connection to the application was lost",
        trailers: ["grpc-retry-pushback-ms=-1"],
      });
    }
  });

  it("refuses calls while it is away: they have certainly not run", async () => {
    const { kind, code } = endOf(await open(session, "/a.B/C").answer);
    assert.deepEqual([kind, code], ["refused", Code.UNAVAILABLE]);
  });

  it("forwards again once it is back", async () => {
    const { application } = bridged;
    application.calls.length = 0;
    await application.up();
    for (;;) {
      const { answer } = open(session, "/a.B/C");
      const first = await Promise.race([answer, application.call(1)]);
      if ("stream" in first) {
        first.answer(framed(Buffer.from("back")));
        assert.equal(endOf(await answer).code, Code.OK);
        return;
      }
      assert.equal(endOf(first).kind, "refused");
    }
  });

  it("finds another connection when one is closed in order", async () => {
    const { application } = bridged;
    for (const open of application.sessions) open.close();
    application.calls.length = 0;
    for (;;) {
      const { answer } = open(session, "/a.B/C");
      const first = await Promise.race([answer, application.call(1)]);
      if ("stream" in first) {
        first.answer(framed(Buffer.from("there")));
        assert.equal(endOf(await answer).code, Code.OK);
        return;
      }
      assert.equal(endOf(first).kind, "refused");
    }
  });
});

describe("a bridge", { timeout: 30_000 }, () => {
  it("opens more connections when the application limits calls on one", async () => {
    const bridged = await Bridged.start({}, { settings: { maxConcurrentStreams: 10 } });
    const session = await bridged.session();
    const calls = [];
    for (let number = 1; number <= 25; number++) {
      calls.push(open(session, "/a.B/C"));
      // Those that are beyond the limit wait for nothing but the next connection.
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    const { application } = bridged;
    while (application.sessions.size < 3) await new Promise((resolve) => setTimeout(resolve, 10));
    assert.ok(application.calls.length >= 20, `${application.calls.length}`);
    let answered = 0;
    while (answered < 25) {
      (await application.call(answered + 1)).answer(framed(Buffer.from("x")));
      answered += 1;
    }
    for (const { answer } of calls) assert.equal(endOf(await answer).code, Code.OK);
    await bridged.stop();
  });

  it("lets calls wait when all connections are full, in their order", async () => {
    const bridged = await Bridged.start({}, { settings: { maxConcurrentStreams: 1 } });
    const session = await bridged.session();
    const { application } = bridged;
    const calls = Array.from({ length: 20 }, () => open(session, "/a.B/C"));
    while (application.calls.length < 16) await new Promise((resolve) => setTimeout(resolve, 10));
    assert.equal(application.sessions.size, 16);
    for (let number = 1; number <= 3; number += 1) {
      (await application.call(number)).answer(framed(Buffer.from("x")));
      await application.call(16 + number);
    }
    // The last one still waits.
    assert.equal(application.calls.length, 19);
    for (let number = 4; number <= 20; number += 1) {
      (await application.call(number)).answer(framed(Buffer.from("x")));
    }
    for (const { answer } of calls) assert.equal(endOf(await answer).code, Code.OK);
    await bridged.stop();
  });

  it("refuses calls when the application allows none: they have certainly not run", async () => {
    const bridged = await Bridged.start({}, { settings: { maxConcurrentStreams: 0 } });
    const { answer } = open(await bridged.session(), "/a.B/C");
    const { kind, code, message } = endOf(await answer);
    assert.deepEqual([kind, code], ["refused", Code.UNAVAILABLE]);
    assert.equal(message, "the application takes no calls now");
    await bridged.stop();
  });

  it("counts no call that is over, answered or cancelled", async () => {
    const bridged = await Bridged.start({ limits: { maxConcurrentCalls: 2 } });
    const session = await bridged.session();
    for (let number = 1; number <= 6; number++) {
      const { call, answer } = open(session, "/a.B/C");
      const received = await bridged.application.call(number);
      if (number % 2 === 0) call.cancel();
      else received.answer(framed(Buffer.from("x")));
      await answer;
      await received.closed;
    }
    await bridged.stop();
  });

  it("tells the application the verified caller of a mutual session, and nobody else can", async () => {
    const caller = await Simulator.create();
    const bridged = await Bridged.start({ callers: caller.policyOptions() });
    const session = await bridged.session({
      attest: (userData, nonce) => caller.attest({ userData, nonce }),
    });
    const metadata = [entry("sealrpc-caller-pcr0", "f".repeat(96))];
    const { call } = open(session, "/a.B/C", { metadata });
    const received = await bridged.application.call(1);
    const { pcr0 } = caller.policyOptions().referenceValues[0];
    assert.deepEqual(received.field("sealrpc-caller-module-id"), [caller.moduleId]);
    assert.deepEqual(received.field("sealrpc-caller-pcr0"), [pcr0]);
    call.cancel();
    await bridged.stop();
  });

  it("refuses an application outside the enclave, and limits that are none", async () => {
    const attester = await Simulator.create();
    const listen = "127.0.0.1:0";
    for (const upstream of ["192.0.2.1:1", "example.com:80", "vsock:3:1"]) {
      await assert.rejects(startBridge({ listen, upstream, attester }), TypeError);
    }
    const options = { listen, upstream: "127.0.0.1:1", attester, maxMessageBytes: -2 };
    await assert.rejects(startBridge(options), RangeError);
  });

  it("waits for the application until it is told not to", async () => {
    const stop = new AbortController();
    const starting = startBridge({
      listen: "127.0.0.1:0",
      upstream: "unix:/nowhere/app.sock",
      attester: await Simulator.create(),
      signal: stop.signal,
    });
    setTimeout(() => stop.abort(), 100);
    await assert.rejects(starting, { code: "closed" });
  });

  it("lets calls end when it stops", async () => {
    const bridged = await Bridged.start();
    const session = await bridged.session();
    const { answer } = open(session, "/a.B/C");
    const received = await bridged.application.call(1);
    const closing = bridged.bridge.close(10_000);
    received.answer(framed(Buffer.from("done")));
    assert.equal(endOf(await answer).code, Code.OK);
    await closing;
    await bridged.stop();
  });
});
