import assert from "node:assert/strict";
import { afterEach, describe, it, type TestContext } from "node:test";
import * as grpc from "@grpc/grpc-js";
import { EnclavePool } from "../../services/proxy/enclave-pool.ts";
import { startProxy, type Proxy, type ProxyOptions } from "../../services/proxy/index.ts";
import { silentLogger } from "../../services/proxy/logger.ts";
import { parseAddress } from "../../transport/address.ts";
import { ConnectClient, outcome } from "../support/connect-service.ts";
import { eventually, type Http2Enclave, startHttp2Enclave } from "../support/http2-enclave.ts";

const OK = { ":status": 200, "content-type": "application/grpc" };

let cleanups: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.reverse()) {
    await cleanup();
  }
  cleanups = [];
});

async function proxyTo(
  enclave: string,
  options: Partial<ProxyOptions> = {},
): Promise<{ proxy: Proxy; client: ConnectClient }> {
  const proxy = await startProxy({ enclave, listen: "127.0.0.1:0", ...options });
  const client = new ConnectClient(proxy.address);
  cleanups.push(async () => {
    client.close();
    await proxy.close(0);
  });
  return { client, proxy };
}

async function finishes(client: ConnectClient): Promise<grpc.status> {
  const call = client.open();
  call.end();
  return (await outcome(call)).status.code;
}

/** An enclave that answers headers and keeps every stream open. */
async function holdOpen(maxConcurrentStreams: number, port?: number): Promise<Http2Enclave> {
  const enclave = await startHttp2Enclave(
    (stream) => {
      stream.respond(OK, { waitForTrailers: true });
      stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
      stream.on("data", () => {}).on("end", () => stream.end());
    },
    { settings: { maxConcurrentStreams } },
    port,
  );
  cleanups.push(async () => enclave.close());
  return enclave;
}

describe("when the enclave is away", () => {
  it("a stream fails as UNAVAILABLE, without the enclave's address", async () => {
    const { client } = await proxyTo("127.0.0.1:1");
    for (let attempt = 0; attempt < 3; attempt += 1) {
      const { status } = await outcome(client.open());
      assert.equal(status.code, grpc.status.UNAVAILABLE);
      assert.equal(status.details, "the proxy cannot reach the enclave");
    }
  });

  it("streams work again after it came back", async () => {
    const first = await holdOpen(100);
    const { client, proxy } = await proxyTo(first.address);
    assert.equal(await finishes(client), grpc.status.OK);
    await first.close();
    await eventually(() => proxy.load.enclaveConnections === 0);
    assert.equal(await finishes(client), grpc.status.UNAVAILABLE);
    await holdOpen(100, Number(first.address.split(":")[1]));
    await eventually(() => proxy.load.enclaveConnections === 1);
    assert.equal(await finishes(client), grpc.status.OK);
  });

  it("a stream that was open ends as UNAVAILABLE, before and after its headers", async () => {
    let respond = false;
    let streams = 0;
    const enclave = await startHttp2Enclave((stream) => {
      streams += 1;
      if (respond) {
        stream.respond(OK);
        stream.write(Buffer.from("0000000001ff", "hex"));
      }
    });
    cleanups.push(async () => enclave.close());
    const { client, proxy } = await proxyTo(enclave.address);
    for (respond of [false, true]) {
      const call = client.open();
      const result = outcome(call);
      const first = new Promise((resolve) => {
        call.once("data", resolve);
      });
      streams = 0;
      await eventually(() => streams === 1);
      if (respond) {
        await first;
      }
      for (const session of enclave.sessions) {
        session.destroy();
      }
      const { status } = await result;
      assert.equal(status.code, grpc.status.UNAVAILABLE);
      assert.match(status.details, /connection to the enclave was lost/);
      await eventually(() => proxy.load.forwardedStreams === 0);
      await eventually(() => proxy.load.enclaveConnections === 1);
    }
  });
});

describe("an enclave that stays away", () => {
  /** How long a pool waits before each of `count` further attempts; none of it passes. */
  async function waitsOf(context: TestContext, count: number, random: number): Promise<number[]> {
    const waits: number[] = [];
    const dialTimeoutMs = 60_000;
    const { setTimeout: start } = globalThis;
    let enough: () => void = () => {};
    const isEnough = new Promise<void>((resolve) => {
      enough = resolve;
    });
    context.mock.method(Math, "random", () => random);
    context.mock.method(globalThis, "setTimeout", (callback: () => void, waitMs: number) => {
      if (waitMs === dialTimeoutMs) return start(callback, waitMs);
      if (waits.push(waitMs) === count) enough();
      return start(callback, 0);
    });
    const pool = new EnclavePool({
      address: parseAddress("unix:/nowhere/enclave.sock"),
      dialTimeoutMs,
      logger: silentLogger,
      maxEnclaveConnections: 1,
      onChange: () => {},
      pingIntervalMs: 10_000,
    });
    await isEnough;
    pool.close();
    return waits;
  }

  it("is dialed again after waits that double, up to 5 s", async (context) => {
    const waits = await waitsOf(context, 10, 1);
    assert.deepEqual(waits, [100, 100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000]);
  });

  it("is dialed up to twice as often at random, so that proxies do not all dial at once", async (context) => {
    const waits = await waitsOf(context, 9, 0);
    assert.deepEqual(waits, [50, 50, 100, 200, 400, 800, 1600, 2500, 2500]);
  });
});

describe("when the enclave sends GOAWAY", () => {
  it("running streams go on and new ones use another connection", async () => {
    const enclave = await holdOpen(100);
    const { client, proxy } = await proxyTo(enclave.address);
    const old = client.open();
    const oldResult = outcome(old);
    old.write(Buffer.from("x"));
    await new Promise((resolve) => {
      old.once("metadata", resolve);
    });
    const [session] = enclave.sessions;
    session?.close();
    await eventually(() => !(proxy.load.enclaveConnections === 1 && enclave.sessions.size === 1));
    await eventually(() => enclave.sessions.size === 2);
    const young = client.open();
    young.end();
    assert.equal((await outcome(young)).status.code, grpc.status.OK);
    old.end();
    assert.equal((await oldResult).status.code, grpc.status.OK);
    await eventually(() => enclave.sessions.size === 1);
  });
});

describe("toward the enclave", () => {
  it("the windows are bounded, of a stream and of the connection", async () => {
    const enclave = await holdOpen(100);
    const { client } = await proxyTo(enclave.address);
    assert.equal(await finishes(client), grpc.status.OK);
    const [session] = enclave.sessions;
    assert.equal(session?.remoteSettings.initialWindowSize, 96 * 1024);
    assert.ok((session?.state.remoteWindowSize ?? 0) <= 96 * 1024);
  });
});

describe("beyond the enclave's limit on streams", () => {
  it("further connections carry what the first cannot, and close when they are idle", async () => {
    const enclave = await holdOpen(2);
    const { client, proxy } = await proxyTo(enclave.address, { pingIntervalMs: 40 });
    const calls = Array.from({ length: 7 }, () => client.open());
    const results = calls.map(outcome);
    await Promise.all(
      calls.map(async (call) => {
        await new Promise((resolve) => {
          call.once("metadata", resolve);
        });
      }),
    );
    assert.equal(proxy.load.enclaveConnections, 4);
    assert.equal(enclave.sessions.size, 4);
    for (const call of calls) {
      call.end();
    }
    for (const result of results) {
      assert.equal((await result).status.code, grpc.status.OK);
    }
    await eventually(() => enclave.sessions.size === 1);
    assert.equal(proxy.load.enclaveConnections, 1);
  });

  it("and beyond the proxy's own, a stream fails as RESOURCE_EXHAUSTED", async () => {
    const enclave = await holdOpen(1);
    const { client } = await proxyTo(enclave.address, { limits: { maxEnclaveConnections: 2 } });
    const calls = Array.from({ length: 4 }, () => client.open());
    const results = calls.map(outcome);
    const refused = await Promise.race(results);
    assert.equal(refused.status.code, grpc.status.RESOURCE_EXHAUSTED);
    assert.match(refused.status.details, /is full/);
    for (const call of calls) {
      call.end();
    }
    const codes = (await Promise.all(results)).map(({ status }) => status.code);
    assert.deepEqual(
      codes.toSorted((one, other) => one - other),
      [0, 0, 8, 8],
    );
    assert.equal(await finishes(client), grpc.status.OK);
  });
});

describe("cancellation", () => {
  it("by the client reaches the enclave as a reset, not as a finished upload", async () => {
    const seen: string[] = [];
    const enclave = await startHttp2Enclave((stream) => {
      stream.respond(OK);
      stream.on("data", () => {});
      stream.on("end", () => seen.push(stream.aborted ? "aborted end" : "end"));
      stream.on("close", () => seen.push(`close ${stream.rstCode}`));
    });
    cleanups.push(async () => enclave.close());
    const { client, proxy } = await proxyTo(enclave.address);
    const call = client.open();
    const result = outcome(call);
    call.write(Buffer.alloc(100));
    await new Promise((resolve) => {
      call.once("metadata", resolve);
    });
    call.cancel();
    assert.equal((await result).status.code, grpc.status.CANCELLED);
    await eventually(() => seen.length > 0 && proxy.load.forwardedStreams === 0);
    assert.ok(seen.includes("close 8"), seen.join());
  });

  it("of many clients at once leaves nothing behind", async () => {
    const enclave = await holdOpen(1000);
    const { client, proxy } = await proxyTo(enclave.address, {
      limits: { maxSessionsPerSecond: 1000, maxStreamsPerConnection: 1000 },
    });
    for (let round = 0; round < 5; round += 1) {
      const calls = Array.from({ length: 40 }, () => client.open());
      const results = calls.map(outcome);
      for (const [index, call] of calls.entries()) {
        call.write(Buffer.alloc(1000));
        setTimeout(() => call.cancel(), index % 5);
      }
      await Promise.all(results);
    }
    await eventually(() => proxy.load.forwardedStreams === 0);
    assert.equal(await finishes(client), grpc.status.OK);
    assert.equal(proxy.load.enclaveConnections, 1);
  });
});
