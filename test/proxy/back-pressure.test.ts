import assert from "node:assert/strict";
import { type ClientHttp2Session, connect, type Http2Stream } from "node:http2";
import { connect as connectSocket, createServer as createNetServer, type Socket } from "node:net";
import { afterEach, describe, it } from "node:test";
import { BufferBudget } from "../../services/proxy/buffer-budget.ts";
import { EnclavePool } from "../../services/proxy/enclave-pool.ts";
import { FrontConnection } from "../../services/proxy/front.ts";
import { Health } from "../../services/proxy/health.ts";
import { DEFAULT_LIMITS, PAUSE_BYTES } from "../../services/proxy/limits.ts";
import { silentLogger } from "../../services/proxy/logger.ts";
import { PeerLimits } from "../../services/proxy/peer-limits.ts";
import { type Proxy, type ProxyOptions, startProxy } from "../../services/proxy/index.ts";
import { parseAddress } from "../../transport/address.ts";
import { eventually, startHttp2Enclave, type StreamHandler } from "../support/http2-enclave.ts";

const MiB = 1024 * 1024;
const CHUNK = Buffer.alloc(64 * 1024);
const request = {
  ":method": "POST",
  ":path": "/sealrpc.v1.AttestedChannelService/Connect",
  "content-type": "application/grpc",
};

let cleanups: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.reverse()) {
    await cleanup();
  }
  cleanups = [];
});

async function start(onStream: StreamHandler, options: Partial<ProxyOptions>): Promise<Proxy> {
  const enclave = await startHttp2Enclave(onStream, { maxSessionMemory: 1000 });
  const proxy = await startProxy({ enclave: enclave.address, listen: "127.0.0.1:0", ...options });
  cleanups.push(async () => {
    await proxy.close(0);
    await enclave.close();
  });
  return proxy;
}

function session(proxy: Proxy): ClientHttp2Session {
  const client = connect(`http://${proxy.address}`, { maxSessionMemory: 1000 });
  client.on("error", () => {});
  cleanups.push(() => client.destroy());
  return client;
}

/** Writes for ever; the function returned says how much was taken. */
function pour(stream: Http2Stream): () => number {
  let written = 0;
  const more = (): void => {
    while (stream.writable && stream.writableLength < PAUSE_BYTES) {
      written += CHUNK.length;
      stream.write(CHUNK, more);
    }
  };
  more();
  return () => written - stream.writableLength;
}

/** Waits until a count has stood still for a while. */
async function standsStill(count: () => number): Promise<number> {
  for (let last = -1; ;) {
    await new Promise((resolve) => {
      setTimeout(resolve, 150);
    });
    if (count() === last) {
      return last;
    }
    last = count();
  }
}

describe("back-pressure", () => {
  it("stops the enclave when a client does not read its stream, and only for that stream", async () => {
    let poured: (() => number) | undefined;
    const proxy = await start((stream) => {
      stream.respond(
        { ":status": 200, "content-type": "application/grpc" },
        { waitForTrailers: true },
      );
      if (poured === undefined) {
        poured = pour(stream);
      } else {
        stream.end(CHUNK);
        stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
      }
    }, {});
    const client = session(proxy);
    const slow = client.request(request);
    slow.on("error", () => {});
    await eventually(() => poured !== undefined);
    const taken = await standsStill(() => poured?.() ?? 0);
    // The client's window, the pause and the window of the back hop, in front of a few chunks.
    assert.ok(taken < 2 * MiB, String(taken));
    const fast = client.request(request);
    fast.on("error", () => {});
    const chunks = await new Promise<number>((resolve) => {
      let bytes = 0;
      fast.on("data", (chunk: Buffer) => {
        bytes += chunk.length;
      });
      fast.on("close", () => resolve(bytes));
    });
    assert.equal(chunks, CHUNK.length);
    slow.resume();
    await eventually(() => (poured?.() ?? 0) > taken + 8 * MiB);
  });

  it("stops a client when the enclave does not read", async () => {
    const proxy = await start((stream) => stream.pause(), { windowBytes: MiB });
    const stream = session(proxy).request(request);
    stream.on("error", () => {});
    const taken = await standsStill(pour(stream));
    assert.ok(taken > MiB / 2 && taken < 3 * MiB, String(taken));
    assert.ok(proxy.load.peakWaitingBytes < 3 * MiB);
  });

  it("ends the greediest stream when all together hold too much", async () => {
    const proxy = await start((stream) => stream.pause(), {
      limits: { maxBufferedBytes: 4 * MiB },
    });
    const small = session(proxy).request(request);
    small.on("error", () => {}).write(Buffer.alloc(MiB));
    const greedy = session(proxy).request(request);
    greedy.on("error", () => {}).resume();
    const answer = new Promise<unknown>((resolve) => {
      greedy.once("response", (headers) => resolve(headers["grpc-status"]));
    });
    pour(greedy);
    assert.equal(await answer, "8");
    await eventually(() => proxy.load.forwardedStreams === 1);
    assert.ok(!small.closed);
  });
});

describe("a front connection that makes no progress", () => {
  /** A front connection of its own whose clock the test turns. */
  async function front(
    onStream: StreamHandler,
    greetingTimeoutMs = 10_000,
  ): Promise<{ connection: FrontConnection; socket: Socket; closed: () => boolean }> {
    const enclave = await startHttp2Enclave(onStream);
    const limits = DEFAULT_LIMITS;
    const pool = new EnclavePool({
      address: parseAddress(enclave.address),
      dialTimeoutMs: 1000,
      logger: silentLogger,
      maxEnclaveConnections: 1,
      onChange: () => {},
      pingIntervalMs: 10_000,
    });
    const server = createNetServer();
    await new Promise<void>((resolve) => {
      server.listen(0, "127.0.0.1", resolve);
    });
    const bound = server.address();
    const accepted = new Promise<Socket>((resolve) => {
      server.once("connection", resolve);
    });
    const socket = connectSocket((typeof bound === "object" && bound?.port) || 0, "127.0.0.1");
    socket.on("error", () => {});
    let isClosed = false;
    const connection = new FrontConnection(
      await accepted,
      {
        budget: new BufferBudget(MiB),
        greetingTimeoutMs,
        health: new Health(),
        limits,
        logger: silentLogger,
        onStreamClose: () => {},
        peers: new PeerLimits(limits),
        pool,
        windowBytes: MiB,
      },
      () => {
        isClosed = true;
      },
    );
    cleanups.push(async () => {
      socket.destroy();
      server.close();
      pool.close();
      await enclave.close();
    });
    return { closed: () => isClosed, connection, socket };
  }

  const minute = 60_000;

  it("because its peer does not read what waits is cut off after a minute", async () => {
    const { connection, socket, closed } = await front((stream) => {
      stream.respond({ ":status": 200, "content-type": "application/grpc" });
      pour(stream);
    });
    const client = connect("http://proxy", {
      createConnection: () => socket,
      settings: { initialWindowSize: 64 * MiB },
    });
    client.on("error", () => {});
    const stream = client.request(request);
    stream.on("error", () => {}).resume();
    await new Promise((resolve) => {
      stream.once("response", resolve);
    });
    client.setLocalWindowSize(64 * MiB);
    // The test is the peer and stops turning its loop only for itself: it pauses the socket.
    const { _handle: handle } = socket as Socket & { _handle: { readStop(): void } };
    handle.readStop();
    await eventually(() => connection.queuedBytes > 0);
    await standsStill(() => connection.queuedBytes);
    const nowMs = performance.now();
    connection.checkProgress(nowMs);
    connection.checkProgress(nowMs + minute / 2);
    assert.ok(!closed());
    connection.checkProgress(nowMs + 2 * minute);
    await eventually(closed);
  });

  it("because its peer is gone is pinged after a minute and cut off after two", async () => {
    const { connection, socket, closed } = await front(() => {});
    let received = Buffer.alloc(0);
    socket.on("data", (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
    });
    socket.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    socket.write(Buffer.from("000000040000000000", "hex"));
    await eventually(() => received.length > 0);
    const ping = Buffer.from("0000080600", "hex");
    const nowMs = performance.now();
    connection.checkProgress(nowMs);
    assert.ok(!received.includes(ping));
    connection.checkProgress(nowMs + 1.5 * minute);
    await eventually(() => received.includes(ping));
    assert.ok(!closed());
    connection.checkProgress(nowMs + 2.5 * minute);
    await eventually(closed);
  });

  it("because it does not greet is cut off, and one that greets is not", async () => {
    const silent = await front(() => {}, 20);
    const greeting = await front(() => {}, 20);
    greeting.socket.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    greeting.socket.write(Buffer.from("000000040000000000", "hex"));
    await eventually(silent.closed);
    await new Promise((resolve) => {
      setTimeout(resolve, 40);
    });
    assert.ok(!greeting.closed());
  });

  it("but answers PING stays", async () => {
    const { connection, socket, closed } = await front(() => {});
    const client = connect("http://proxy", { createConnection: () => socket });
    client.on("error", () => {});
    await new Promise((resolve) => {
      client.once("remoteSettings", resolve);
    });
    let nowMs = performance.now();
    for (let round = 0; round < 6; round += 1) {
      connection.checkProgress(nowMs);
      nowMs += 1.2 * minute;
      // An answer to a PING is on its way before the next look.
      await new Promise((resolve) => {
        client.ping(resolve);
      });
    }
    assert.ok(!closed());
    client.destroy();
  });
});
