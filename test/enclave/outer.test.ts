import assert from "node:assert/strict";
import { once } from "node:events";
import { after, before, describe, it } from "node:test";
import { setTimeout as wait } from "node:timers/promises";

import { AttestationError } from "../../attestation/errors.ts";
import { Simulator } from "../../attestation/nsm/simulator.ts";
import { ClientHandshake } from "../../channel/client-handshake.ts";
import { encodeRecordMessage, RECORD_HEADROOM } from "../../channel/outer-message.ts";
import { nodeBackend } from "../../crypto/node.ts";
import { BehaviorService } from "#gen/behavior/v1/behavior_pb.js";
import type { EnclaveServer } from "../../services/enclave/server.ts";
import type { EnclaveServerOptions } from "../../services/enclave/options.ts";
import { parseAddress } from "../../transport/address.ts";
import { dial } from "../../transport/dial.ts";
import { request, response } from "../support/dispatch.ts";
import { SILENT, TestEnclave } from "../support/enclave.ts";
import type { RawClient, RawStream } from "../support/raw-client.ts";

const add = (server: EnclaveServer): void =>
  server.addService(BehaviorService, { unary: (_call, callback) => callback(null, response("x")) });

const UNIFORM = { status: 9, message: "sealrpc: session", httpStatus: 200 };
const UNAVAILABLE = { status: 14, message: "sealrpc: unavailable", httpStatus: 200 };

function handshake(enclave: TestEnclave): ClientHandshake {
  const { verify } = enclave;
  return new ClientHandshake({ backend: nodeBackend, suites: [1], initialCredit: 65_536, verify });
}

/** A stream behind its handshake. */
async function established(enclave: TestEnclave, client: RawClient): Promise<RawStream> {
  const stream = client.stream();
  const hello = handshake(enclave);
  stream.send(hello.hello());
  stream.send(await hello.receiveHello(await stream.next()));
  hello.receiveFinish(await stream.next());
  return stream;
}

const record = (length: number): Uint8Array =>
  encodeRecordMessage(new Uint8Array(RECORD_HEADROOM + length), false);

describe("the outer end of an enclave", () => {
  let enclave: TestEnclave;
  let client: RawClient;
  before(async () => {
    enclave = await TestEnclave.start(add);
    client = await enclave.dial();
  });
  after(() => enclave.stop());

  const requests: [string, Record<string, string>][] = [
    ["another path", { ":path": "/behavior.v1.BehaviorService/Unary" }],
    ["another method", { ":method": "PUT" }],
    ["an outer encoding", { "grpc-encoding": "gzip" }],
  ];
  for (const [what, headers] of requests) {
    it(`refuses ${what}`, async () => {
      assert.deepEqual(await client.stream(headers).ended, UNIFORM);
    });
  }

  it("answers 415 to what is no gRPC", async () => {
    for (const type of ["text/html", "application/grpcweb"]) {
      const { httpStatus, status } = await client.stream({ "content-type": type }).ended;
      assert.deepEqual([httpStatus, status], [415, undefined]);
    }
  });

  it("takes any content type of gRPC", async () => {
    const stream = client.stream({ "content-type": "application/grpc+proto" });
    stream.send(handshake(enclave).hello());
    assert.ok((await stream.next()).length > 1000);
    stream.http2.close(8);
  });

  const beforeHello: [string, (stream: RawStream) => void][] = [
    ["bytes that are no message", (stream) => stream.send(Buffer.from("nonsense"))],
    ["a record before the handshake", (stream) => stream.send(record(100))],
    ["a message beyond the handshake's size", (stream) => stream.send(new Uint8Array(25_000))],
    ["an announced giant", (stream) => stream.http2.write(Buffer.from([0, 255, 0, 0, 0]))],
    ["a compressed message", (stream) => stream.http2.write(Buffer.from([1, 0, 0, 0, 1, 0]))],
    ["an empty message", (stream) => stream.http2.write(Buffer.alloc(5))],
    ["the end of the stream", (stream) => stream.http2.end()],
    ["half a message and the end", (stream) => stream.http2.end(Buffer.from([0, 0, 0, 0, 9, 1]))],
  ];
  for (const [what, send] of beforeHello) {
    it(`answers ${what} with the one error`, async () => {
      const stream = client.stream();
      send(stream);
      assert.deepEqual(await stream.ended, UNIFORM);
    });
  }

  it("answers a second hello with the one error", async () => {
    const late = client.stream();
    late.send(handshake(enclave).hello());
    await late.next();
    late.send(handshake(enclave).hello());
    assert.deepEqual(await late.ended, UNIFORM);
  });

  it("answers a finish of another handshake with the one error", async () => {
    const [one, other] = [handshake(enclave), handshake(enclave)];
    const [first, second] = [client.stream(), client.stream()];
    first.send(one.hello());
    second.send(other.hello());
    const finish = await one.receiveHello(await first.next());
    await second.next();
    second.send(finish);
    assert.deepEqual(await second.ended, UNIFORM);
    first.http2.close(8);
  });

  const inSession: [string, (stream: RawStream) => void][] = [
    ["a record that does not open", (stream) => stream.send(record(300))],
    ["a hello", (stream) => stream.send(handshake(enclave).hello())],
    ["a record that is too long", (stream) => stream.send(record(262_144 + 17))],
    ["nonsense", (stream) => stream.send(Buffer.from("nonsense"))],
    ["the end of the stream", (stream) => stream.http2.end()],
  ];
  for (const [what, send] of inSession) {
    it(`ends a session for ${what} with the one error`, async () => {
      const stream = await established(enclave, client);
      send(stream);
      assert.deepEqual(await stream.ended, UNIFORM);
    });
  }

  it("closes a connection that is no HTTP/2, and goes on", async () => {
    const socket = await dial(parseAddress(enclave.address));
    socket.on("error", () => {});
    socket.resume();
    socket.write("GET / HTTP/1.1\r\nhost: enclave\r\n\r\n");
    await once(socket, "close");
    await enclave.session();
  });

  it("takes messages split at every byte", async () => {
    const stream = client.stream();
    const hello = handshake(enclave);
    const message = hello.hello();
    const bytes = Buffer.alloc(5 + message.length);
    bytes.writeUInt32BE(message.length, 1);
    bytes.set(message, 5);
    for (const byte of bytes) stream.http2.write(Buffer.from([byte]));
    await hello.receiveHello(await stream.next());
    stream.http2.close(8);
  });

  it("serves other streams of a connection on which one failed", async () => {
    const session = await client.session({ verify: enclave.verify });
    const broken = client.stream();
    broken.send(Buffer.from("nonsense"));
    await broken.ended;
    const { end } = await session.unary("Unary", request("x"));
    assert.equal(end.kind, "status");
  });
});

describe("an enclave at its limits", () => {
  const started: TestEnclave[] = [];
  const start = async (options: EnclaveServerOptions): Promise<TestEnclave> => {
    const enclave = await TestEnclave.start(add, options);
    started.push(enclave);
    return enclave;
  };
  after(() => Promise.all(started.map((enclave) => enclave.stop())));

  it("gives up a handshake that does not finish in time", async () => {
    const enclave = await start({ limits: { handshakeTimeoutMs: 50 } });
    const client = await enclave.dial();
    const silent = client.stream();
    const halfway = client.stream();
    halfway.send(handshake(enclave).hello());
    assert.deepEqual(await silent.ended, UNIFORM);
    assert.deepEqual(await halfway.ended, UNIFORM);
  });

  it("cuts a stream whose other end takes nothing of the reply", async () => {
    const enclave = await start({
      limits: { handshakeTimeoutMs: 100, maxUnfinishedHandshakes: 1 },
    });
    const client = await enclave.dial({ initialWindowSize: 0 });
    const stuck = client.stream();
    stuck.send(handshake(enclave).hello());
    await stuck.ended;
    const next = client.stream();
    next.send(Buffer.from("nonsense"));
    assert.deepEqual(await next.ended, UNIFORM);
  });

  it("cuts a session that the other end does not let end", async (t) => {
    const enclave = await start({});
    const client = await enclave.dial();
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const stream = await established(enclave, client);
    t.mock.timers.tick(3_600_000 + 11 * 60_000);
    await stream.ended;
  });

  it("does not apply the time of the handshake to the session", async (t) => {
    const enclave = await start({});
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const session = await enclave.session();
    t.mock.timers.tick(60_000);
    assert.equal((await session.unary("Unary", request("x"))).end.kind, "status");
  });

  it("is unavailable for more unfinished handshakes, and again free when they end", async () => {
    const enclave = await start({ limits: { maxUnfinishedHandshakes: 2 } });
    const client = await enclave.dial();
    const held = [client.stream(), client.stream()];
    const third = client.stream();
    assert.deepEqual(await third.ended, UNAVAILABLE);
    for (const stream of held) stream.http2.end();
    await Promise.all(held.map((stream) => stream.ended));
    await enclave.session();
  });

  it("is unavailable for more sessions, and again free when one ends", async () => {
    const enclave = await start({ limits: { maxSessions: 1 } });
    const first = await enclave.session();
    const client = await enclave.dial();
    assert.deepEqual(await client.stream().ended, UNAVAILABLE);
    first.session.close(performance.now(), 0);
    await first.stream.ended;
    await enclave.session();
  });

  it("is unavailable for a finish when another has taken the last session", async () => {
    const enclave = await start({ limits: { maxSessions: 1 } });
    const client = await enclave.dial();
    const stream = client.stream();
    const hello = handshake(enclave);
    stream.send(hello.hello());
    const finish = await hello.receiveHello(await stream.next());
    await enclave.session();
    stream.send(finish);
    assert.deepEqual(await stream.ended, UNAVAILABLE);
  });

  it("is unavailable while its evidence cannot be had, and well again after", async () => {
    const simulator = await Simulator.create();
    let fails = true;
    const attester = {
      attest: (asked: Parameters<Simulator["attest"]>[0]) =>
        fails
          ? Promise.reject(new AttestationError("nsm-unavailable", "gone"))
          : simulator.attest(asked),
      close: () => Promise.resolve(),
    };
    const warned: object[] = [];
    const logger = { ...SILENT, warn: (facts: object) => void warned.push(facts) };
    const enclave = await start({ attester, logger });
    const client = await enclave.dial();
    const stream = client.stream();
    stream.send(handshake(enclave).hello());
    assert.deepEqual(await stream.ended, UNAVAILABLE);
    assert.deepEqual(warned, [{ error: "AttestationError", code: "nsm-unavailable" }]);
    fails = false;
    const again = client.stream();
    again.send(handshake(enclave).hello());
    assert.ok((await again.next()).length > 1000);
    again.http2.close(8);
  });

  it("is unavailable while its attester does not answer, and well again after", async () => {
    const simulator = await Simulator.create();
    let hangs = true;
    const attester = {
      attest: (asked: Parameters<Simulator["attest"]>[0]) =>
        hangs ? new Promise<never>(() => {}) : simulator.attest(asked),
      close: () => Promise.resolve(),
    };
    const warned: object[] = [];
    const logger = { ...SILENT, warn: (facts: object) => void warned.push(facts) };
    const enclave = await start({ attester, logger, limits: { handshakeTimeoutMs: 1000 } });
    const client = await enclave.dial();
    const [stuck, behind] = [client.stream(), client.stream()];
    stuck.send(handshake(enclave).hello());
    behind.send(handshake(enclave).hello());
    assert.deepEqual(await stuck.ended, UNAVAILABLE);
    assert.deepEqual(warned, [{ error: "AttestationError", code: "nsm-unavailable" }]);
    await behind.ended;
    hangs = false;
    // The batch behind may still have to find out.
    const again = async (): Promise<void> => {
      const stream = client.stream();
      stream.send(handshake(enclave).hello());
      const reply = await stream.next().catch(() => undefined);
      if (reply === undefined) return again();
      stream.http2.close(8);
    };
    await again();
  });

  it("answers a message before the hello's reply with the one error", async () => {
    const enclave = await start({ attester: await Simulator.create({ latencyMs: 100 }) });
    const stream = (await enclave.dial()).stream();
    stream.send(handshake(enclave).hello());
    stream.send(handshake(enclave).hello());
    assert.deepEqual(await stream.ended, UNIFORM);
    assert.equal(stream.isUnanswered, true);
  });

  it("tells its log, and nobody else, what was wrong in a session", async () => {
    const codes: object[] = [];
    const enclave = await start({
      logger: { ...SILENT, debug: (facts: object) => void codes.push(facts) },
    });
    const stream = await established(enclave, await enclave.dial());
    stream.send(handshake(enclave).hello());
    assert.deepEqual(await stream.ended, UNIFORM);
    assert.deepEqual(codes, [{ sessions: 1 }, { code: "malformed-record" }]);
  });

  it("forgets a stream that goes while its evidence is made", async () => {
    const simulator = await Simulator.create({ latencyMs: 50 });
    const enclave = await start({ attester: simulator, limits: { maxUnfinishedHandshakes: 1 } });
    const client = await enclave.dial();
    const gone = client.stream();
    gone.send(handshake(enclave).hello());
    await wait(10);
    gone.http2.close(8);
    // The place is free again, at the latest when the evidence is there.
    const again = async (): Promise<unknown> => {
      const stream = client.stream();
      stream.send(handshake(enclave).hello());
      return stream.next().then(
        () => stream.http2.close(8),
        async () => {
          assert.deepEqual(await stream.ended, UNAVAILABLE);
          return wait(10).then(again);
        },
      );
    };
    await again();
  });
});
