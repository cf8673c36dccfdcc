import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { afterEach, beforeEach, describe, it, mock } from "node:test";

import type { ClientDuplexStream } from "@grpc/grpc-js";

import { Budget } from "../../channel/budget.ts";
import { ChannelError } from "../../channel/errors.ts";
import { HelloBatcher } from "../../channel/hello-batch.ts";
import { nodeBackend } from "../../crypto/node.ts";
import type { LiveSession } from "../../services/client/live-session.ts";
import { OuterSession } from "../../services/client/outer-session.ts";
import { plainEvidence, verifyPlainEvidence } from "../support/plain-evidence.ts";
import { TERMS } from "../support/session-pair.ts";

/** An outer stream whose other end is the test. */
class FakeStream extends EventEmitter {
  readonly written: Uint8Array[] = [];
  isCancelled = false;
  isEnded = false;

  write(message: Uint8Array, taken?: () => void): boolean {
    this.written.push(message);
    taken?.();
    return true;
  }

  end(): void {
    this.isEnded = true;
  }

  cancel(): void {
    this.isCancelled = true;
  }

  getPeer(): string {
    return "127.0.0.1:1";
  }

  receive(message: Uint8Array): void {
    this.emit("data", Buffer.from(message));
  }
}

function setUp() {
  const stream = new FakeStream();
  const told = {
    lives: [] as LiveSession[],
    failed: [] as Error[],
    draining: 0,
    closed: 0,
    connected: 0,
  };
  const session = new OuterSession(
    stream as unknown as ClientDuplexStream<Uint8Array, Buffer>,
    {
      backend: nodeBackend,
      padding: "padme",
      maxReceiveMessageBytes: 1024,
      budget: new Budget(1024 * 1024),
      onConnected: () => {
        told.connected += 1;
      },
      handshake: {
        backend: nodeBackend,
        suites: [1],
        initialCredit: 1024,
        verify: verifyPlainEvidence,
      },
    },
    {
      onOpen: (live) => told.lives.push(live),
      onFailed: (error) => told.failed.push(error),
      onDraining: () => {
        told.draining += 1;
      },
      onClosed: () => {
        told.closed += 1;
      },
    },
  );
  const hellos = new HelloBatcher({
    backend: nodeBackend,
    suites: [1],
    attest: async (request) => plainEvidence(request),
  });
  const turn = async (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  return { stream, told, session, hellos, turn };
}

/** Plays the enclave's half to its end. */
async function handshake({ stream, hellos, turn }: ReturnType<typeof setUp>): Promise<void> {
  const enclave = await hellos.accept(stream.written[0]!);
  stream.receive(enclave.reply);
  while (stream.written.length < 2) await turn();
  stream.receive(enclave.receiveFinish(stream.written[1]!, TERMS).reply);
}

const failure = (error: Error | undefined): string =>
  error instanceof ChannelError ? error.code : String(error);

beforeEach(() => mock.timers.enable({ apis: ["setTimeout"] }));
afterEach(() => mock.timers.reset());

describe("an outer stream at the client", () => {
  it("opens its session after the whole handshake, and not before", async () => {
    const way = setUp();
    const { stream, told, hellos, turn } = way;
    assert.equal(stream.written.length, 1);
    const enclave = await hellos.accept(stream.written[0]!);
    stream.receive(enclave.reply);
    assert.equal(told.connected, 1);
    while (stream.written.length < 2) await turn();
    assert.equal(told.lives.length, 0);
    stream.receive(enclave.receiveFinish(stream.written[1]!, TERMS).reply);
    const [live] = told.lives;
    assert.ok(live !== undefined && live.session.canOpen(performance.now()));
    assert.equal(live.peer, "127.0.0.1:1");
    assert.equal(live.maxAgeMs, TERMS.maxAgeMs);
    mock.timers.tick(60_000);
    assert.deepEqual(told.failed, []);
  });

  it("gives up after 5 s without an answer to Hello", () => {
    const { stream, told } = setUp();
    mock.timers.tick(4_999);
    assert.equal(told.failed.length, 0);
    mock.timers.tick(1);
    assert.equal(failure(told.failed[0]), "handshake-timeout");
    assert.ok(stream.isCancelled);
    stream.emit("end");
    assert.equal(told.failed.length, 1);
  });

  it("gives up after 5 s more without an answer to Finish", async () => {
    const { stream, told, hellos, turn } = setUp();
    mock.timers.tick(4_000);
    const enclave = await hellos.accept(stream.written[0]!);
    stream.receive(enclave.reply);
    while (stream.written.length < 2) await turn();
    mock.timers.tick(4_999);
    assert.equal(told.failed.length, 0);
    mock.timers.tick(1);
    assert.equal(failure(told.failed[0]), "handshake-timeout");
  });

  it("fails when the stream ends before the handshake does", () => {
    const { stream, told } = setUp();
    stream.emit("error", new Error("UNAVAILABLE"));
    stream.emit("status", { code: 14, details: "away" });
    stream.emit("end");
    assert.equal(told.failed.length, 1);
    assert.match(String(told.failed[0]), /outside the seal: status 14, "away"/);
  });

  it("fails at an answer that comes twice", async () => {
    const { stream, told, hellos, turn } = setUp();
    const enclave = await hellos.accept(stream.written[0]!);
    stream.receive(enclave.reply);
    stream.receive(enclave.reply);
    assert.equal(failure(told.failed[0]), "malformed-handshake");
    assert.ok(stream.isCancelled);
    await turn();
    stream.emit("end");
    assert.equal(stream.written.length, 1);
    assert.equal(told.failed.length, 1);
  });

  it("says nothing more once it was abandoned", async () => {
    const way = setUp();
    way.session.abandon();
    assert.ok(way.stream.isCancelled);
    await handshake({ ...way, turn: async () => Promise.reject(new Error("no Finish")) }).catch(
      () => undefined,
    );
    way.stream.emit("end");
    mock.timers.tick(10_000);
    assert.deepEqual(way.told, {
      lives: [],
      failed: [],
      draining: 0,
      closed: 0,
      connected: 0,
    });
  });

  it("ends its session, truncated, with the stream", async () => {
    const way = setUp();
    await handshake(way);
    way.stream.emit("status", { code: 0, details: "all is well" });
    way.stream.emit("end");
    assert.equal(way.told.closed, 1);
    assert.match(
      String(way.told.lives[0]?.outerError),
      /outside the seal: status 0, "all is well"/,
    );
  });

  it("sends the alert of a session that is aborted, and does not wait for ever", async () => {
    const way = setUp();
    await handshake(way);
    const written = way.stream.written.length;
    way.told.lives[0]?.session.abort();
    assert.equal(way.told.closed, 1);
    await way.turn();
    await way.turn();
    assert.equal(way.stream.written.length, written + 1);
    assert.ok(way.stream.isEnded);
    assert.ok(!way.stream.isCancelled);
    mock.timers.tick(5_000);
    assert.ok(way.stream.isCancelled);
  });
});
