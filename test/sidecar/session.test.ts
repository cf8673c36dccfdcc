import assert from "node:assert/strict";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { connect } from "node:net";
import { connect as connectTls } from "node:tls";
import { connect as connectHttp2, type IncomingHttpHeaders } from "node:http2";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { status as Code } from "@grpc/grpc-js";
import { Simulator } from "../../attestation/nsm/simulator.ts";
import { type Sidecar, type SidecarOptions, startSidecar } from "../../services/sidecar/index.ts";
import { Forwarder } from "../support/forwarder.ts";
import { framed } from "../support/framed.ts";
import { type PlainAnswer, PlainClient, statusOf, valuesOf } from "../support/plain-client.ts";
import { RawEnclave } from "../support/raw-enclave.ts";
import { RecordedLog } from "../support/recorded-log.ts";
import { noOpenssl, selfSigned } from "../support/self-signed.ts";

const LISTEN = "127.0.0.1:0";

/** What an answer says of its call, from its last block. */
function knownOf({ headers, trailers }: PlainAnswer): Record<string, string | undefined> {
  const fields = trailers ?? headers;
  const [outcome] = valuesOf(fields, "sealrpc-outcome");
  const [code] = valuesOf(fields, "sealrpc-code");
  const [pushback] = valuesOf(fields, "grpc-retry-pushback-ms");
  return { outcome, code, pushback };
}

describe("what a sidecar says of a call that failed", { timeout: 30_000 }, () => {
  let enclave: RawEnclave;
  let link: Forwarder;
  let sidecar: Sidecar;
  let client: PlainClient;
  before(async () => {
    enclave = await RawEnclave.start(() => {}, {
      refuses: ({ call, header }) => {
        const refused = header.method === "/refused/Now";
        if (refused) call.refuse({ code: Code.UNIMPLEMENTED, message: "never", trailers: [] });
        return refused;
      },
    });
    const [host = "", port] = enclave.address.split(":");
    link = await Forwarder.start({ host, port: Number(port) });
    sidecar = await startSidecar({
      listen: LISTEN,
      target: `127.0.0.1:${link.port}`,
      policy: enclave.simulator.policyOptions(),
      channelOptions: { "grpc.initial_reconnect_backoff_ms": 100 },
    });
    client = await PlainClient.connect(sidecar.address);
  });
  after(async () => {
    client.close();
    await sidecar.close(0);
    await link.down();
    await enclave.stop();
  });

  it("is not-executed for a sealed refusal", async () => {
    const answer = await client.open("/refused/Now", {}, true).answer;
    assert.deepEqual(statusOf(answer), { code: Code.UNIMPLEMENTED, message: "never" });
    assert.equal(knownOf(answer).outcome, "not-executed");
    assert.equal(knownOf(answer).pushback, undefined);
  });

  it("is unknown after a cut, and asks not to be repeated", async () => {
    const early = client.open("/a.B/C");
    const late = client.open("/a.B/C");
    const call = await enclave.call(2);
    call.call.sendHeaders({ metadata: [], encoding: "" });
    await new Promise((resolve) => {
      for (const { stream } of [early, late]) stream.once("response", resolve);
    });
    link.cut();
    const answers = [await early.answer, await late.answer];
    for (const answer of answers) {
      assert.equal(statusOf(answer).code, Code.UNAVAILABLE);
      assert.deepEqual(knownOf(answer), { outcome: "unknown", code: "truncated", pushback: "-1" });
    }
    // After headers it stands in trailers, and nowhere is a reset that a client takes for a refusal.
    assert.equal(answers.filter(({ trailers }) => trailers === undefined).length, 1);
  });

  it("is not-executed while there is no session to be had, and calls go on afterwards", async () => {
    await link.down();
    let failed: PlainAnswer;
    do {
      failed = await client.open("/a.B/C", {}, true).answer;
    } while (knownOf(failed).outcome === "unknown");
    assert.equal(statusOf(failed).code, Code.UNAVAILABLE);
    assert.equal(knownOf(failed).outcome, "not-executed");
    await link.up();
    for (;;) {
      const count = enclave.calls.length;
      const { answer } = client.open("/a.B/C", {}, true);
      const first = await Promise.race([answer, enclave.call(count + 1)]);
      if ("call" in first) {
        first.answer([]);
        assert.equal(statusOf(await answer).code, Code.OK);
        return;
      }
    }
  });
});

describe("a sidecar whose policy does not admit the enclave", { timeout: 30_000 }, () => {
  it("fails every call UNAUTHENTICATED with the reason, and sends nothing", async () => {
    const enclave = await RawEnclave.start();
    const other = await Simulator.create();
    const sidecar = await startSidecar({
      listen: LISTEN,
      target: enclave.address,
      policy: other.policyOptions(),
    });
    await assert.rejects(sidecar.ready(), { code: "untrusted-chain" });
    const client = await PlainClient.connect(sidecar.address);
    const answer = await client.open("/a.B/C", {}, true).answer;
    assert.equal(statusOf(answer).code, Code.UNAUTHENTICATED);
    assert.deepEqual(knownOf(answer), {
      outcome: "not-executed",
      code: "untrusted-chain",
      pushback: undefined,
    });
    assert.deepEqual(valuesOf(answer.headers, "sealrpc-module-id"), []);
    assert.equal(enclave.calls.length, 0);
    client.close();
    await sidecar.close(0);
    await enclave.stop();
  });
});

describe("where and how a sidecar listens", { timeout: 30_000 }, () => {
  let enclave: RawEnclave;
  const folder = mkdtempSync(join(tmpdir(), "sidecar-listen-"));
  const start = async (options: Partial<SidecarOptions> = {}): Promise<Sidecar> =>
    startSidecar({
      listen: LISTEN,
      target: enclave.address,
      policy: enclave.simulator.policyOptions(),
      ...options,
    });
  before(async () => {
    enclave = await RawEnclave.start((call) => call.answer(["reply"]));
  });
  after(async () => {
    await enclave.stop();
    rmSync(folder, { recursive: true });
  });

  for (const address of ["0.0.0.0:0", "[::]:0", "192.0.2.1:0", "example.com:0", "vsock:any:1"]) {
    it(`refuses ${address}`, async () => {
      await assert.rejects(start({ listen: address }), TypeError);
    });
  }

  it("takes calls on a Unix socket that only its user may open", async () => {
    const address = `unix:${join(folder, "socket")}`;
    const sidecar = await start({ listen: address });
    assert.equal(statSync(join(folder, "socket")).mode & 0o777, 0o700);
    const client = await PlainClient.connect(address);
    assert.equal(statusOf(await client.open("/a.B/C", {}, true).answer).code, Code.OK);
    client.close();
    await sidecar.close(0);
  });

  it("takes calls over TLS, HTTP/2 only", { skip: noOpenssl }, async () => {
    const { cert, key } = selfSigned("localhost");
    const sidecar = await start({ tls: { cert, key } });
    const [host = "", port] = sidecar.address.split(":");
    const tls = { host, port: Number(port), ca: cert, servername: "localhost" };
    const session = connectHttp2("https://localhost", {
      createConnection: () => connectTls({ ...tls, ALPNProtocols: ["h2"] }),
    });
    const stream = session.request({
      ":method": "POST",
      ":path": "/a.B/C",
      "content-type": "application/grpc",
    });
    stream.end();
    const status = await new Promise((resolve) => {
      stream.on("trailers", (fields: IncomingHttpHeaders) => resolve(fields["grpc-status"]));
      stream.resume();
    });
    assert.equal(status, "0");
    session.destroy();
    const other = connectTls({ ...tls, ALPNProtocols: ["http/1.1"] });
    other.on("error", () => {});
    await new Promise((resolve) => other.on("close", resolve).resume());
    await sidecar.close(0);
  });

  it("refuses limits that are none", async () => {
    await assert.rejects(start({ limits: { maxMessageBytes: 0 } }), RangeError);
    await assert.rejects(start({ limits: { maxCalls: 1 } as object }), RangeError);
  });

  it("tells clients how many calls a connection takes", async () => {
    const sidecar = await start({ limits: { maxCallsPerConnection: 7 } });
    const client = await PlainClient.connect(sidecar.address);
    assert.equal(client.session.remoteSettings.maxConcurrentStreams, 7);
    client.close();
    await sidecar.close(0);
  });

  it("keeps no more than its limit for clients that do not read", async () => {
    const large = await RawEnclave.start((call) => {
      call.call.sendHeaders({ metadata: [], encoding: "" });
      call.call.sendMessage(Buffer.alloc(300_000));
    });
    const sidecar = await start({
      target: large.address,
      policy: large.simulator.policyOptions(),
      limits: { maxBufferedBytes: 200_000 },
    });
    const client = await PlainClient.connect(sidecar.address);
    const { answer } = client.open("/a.B/C");
    await (await large.call()).until(({ cancelReason }) => cancelReason === "cancelled");
    assert.equal(statusOf(await answer).code, Code.RESOURCE_EXHAUSTED);
    client.close();
    await sidecar.close(0);
    await large.stop();
  });

  it("logs once why it lost a client's connection, and nothing of what came on it", async () => {
    const log = new RecordedLog();
    const sidecar = await start({ logger: log });
    const [host = "", port] = sidecar.address.split(":");
    const socket = connect({ host, port: Number(port) });
    socket.on("error", () => {});
    const closed = new Promise((resolve) => socket.once("close", resolve));
    socket.resume().write("GET /secret HTTP/1.1\r\nauthorization: secret\r\n\r\n".repeat(9));
    await closed;
    await sidecar.close(0);
    assert.deepEqual(
      log.lines.map(({ level, sentence, facts }) => [level, sentence, facts["peer"]]),
      [["debug", "a client's connection failed", "127.0.0.1"]],
    );
    assert.match(String(log.lines[0]?.facts["reason"]), /magic|protocol/i);
    assert.doesNotMatch(JSON.stringify(log.lines), /secret/);
  });

  it("logs a TLS handshake that fails", { skip: noOpenssl }, async () => {
    const log = new RecordedLog();
    const sidecar = await start({ tls: selfSigned("localhost"), logger: log });
    const [host = "", port] = sidecar.address.split(":");
    // Trusts no authority that the sidecar could show.
    const socket = connectTls({ host, port: Number(port), ALPNProtocols: ["h2"] });
    socket.on("error", () => {});
    await log.line();
    await sidecar.close(0);
    assert.deepEqual(
      log.lines.map(({ level, sentence }) => [level, sentence]),
      [["debug", "TLS refused"]],
    );
  });

  it("takes no connection beyond its limit", async () => {
    const log = new RecordedLog();
    const sidecar = await start({ limits: { maxConnections: 1 }, logger: log });
    const client = await PlainClient.connect(sidecar.address);
    const [host = "", port] = sidecar.address.split(":");
    const session = connectHttp2(`http://${host}:${port}`);
    session.on("error", () => {});
    await new Promise((resolve) => session.on("close", resolve));
    assert.equal(log.lines[0]?.facts["reason"], "too many connections");
    client.close();
    await sidecar.close(0);
  });

  it("lets calls end, refuses new ones, and then stops", async () => {
    const slow = await RawEnclave.start();
    const sidecar = await start({
      target: slow.address,
      policy: slow.simulator.policyOptions(),
    });
    const client = await PlainClient.connect(sidecar.address);
    const { stream, answer } = client.open("/a.B/C");
    stream.end(framed(Buffer.from("under way")));
    const call = await slow.call();
    const goaway = new Promise((resolve) => client.session.once("goaway", resolve));
    const closing = sidecar.close(10_000);
    assert.equal(await goaway, 0);
    await assert.rejects(connectTo(sidecar.address));
    call.answer(["done"]);
    const { messages, trailers } = await answer;
    assert.equal(String(messages[0]?.message), "done");
    assert.deepEqual(valuesOf(trailers, "grpc-status"), ["0"]);
    await closing;
    await slow.stop();
  });

  it("ends the calls that outlast the grace with what is known of them", async () => {
    const slow = await RawEnclave.start();
    const sidecar = await start({
      target: slow.address,
      policy: slow.simulator.policyOptions(),
    });
    const client = await PlainClient.connect(sidecar.address);
    const { answer } = client.open("/a.B/C");
    await slow.call();
    await sidecar.close(50);
    const ended = await answer;
    assert.equal(statusOf(ended).code, Code.UNAVAILABLE);
    assert.equal(knownOf(ended).outcome, "unknown");
    assert.equal(knownOf(ended).pushback, "-1");
    await slow.stop();
  });
});

/** Rejects when nobody listens. */
async function connectTo(address: string): Promise<void> {
  const session = connectHttp2(`http://${address}`);
  await new Promise<void>((resolve, reject) => {
    session.on("error", reject);
    session.on("connect", () => resolve());
  });
  session.destroy();
}
