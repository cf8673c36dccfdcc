import assert from "node:assert/strict";
import { type ClientHttp2Session, type ClientHttp2Stream, connect } from "node:http2";
import { connect as connectSocket, type Socket } from "node:net";
import { after, afterEach, before, describe, it } from "node:test";
import { connect as connectTls } from "node:tls";
import * as grpc from "@grpc/grpc-js";
import { type Proxy, type ProxyOptions, startProxy } from "../../services/proxy/index.ts";
import { ConnectClient, outcome } from "../support/connect-service.ts";
import { eventually, type Http2Enclave, startHttp2Enclave } from "../support/http2-enclave.ts";
import { noOpenssl, type SelfSigned, selfSigned } from "../support/self-signed.ts";

const OK = { ":status": 200, "content-type": "application/grpc" };
const CONNECT = "/sealrpc.v1.AttestedChannelService/Connect";

let enclave: Http2Enclave;
const seen: string[] = [];
let cleanups: (() => Promise<void> | void)[] = [];
before(async () => {
  enclave = await startHttp2Enclave((stream) => {
    stream.on("end", () => seen.push(stream.aborted ? "cut" : "end"));
    stream.on("close", () => seen.push(`close ${stream.rstCode}`));
    stream.respond(OK, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    stream.on("data", () => {}).on("end", () => stream.end());
  });
});
after(async () => enclave.close());
afterEach(async () => {
  for (const cleanup of cleanups.reverse()) {
    await cleanup();
  }
  cleanups = [];
});

async function start(options: Partial<ProxyOptions> = {}): Promise<Proxy> {
  const proxy = await startProxy({ enclave: enclave.address, listen: "127.0.0.1:0", ...options });
  cleanups.push(async () => proxy.close(0));
  return proxy;
}

function session(proxy: Proxy): ClientHttp2Session {
  const client = connect(`http://${proxy.address}`);
  client.on("error", () => {});
  cleanups.push(() => client.destroy());
  return client;
}

function user(proxy: Proxy, credentials?: grpc.ChannelCredentials): ConnectClient {
  const client = new ConnectClient(proxy.address, credentials);
  cleanups.push(() => client.close());
  return client;
}

async function status(client: ConnectClient): Promise<grpc.StatusObject> {
  const call = client.open();
  call.end();
  return (await outcome(call)).status;
}

async function answer(stream: ClientHttp2Stream): Promise<Record<string, unknown>> {
  stream.on("error", () => {}).resume();
  return new Promise((resolve) => {
    stream.once("response", resolve);
    stream.once("close", () => resolve({ closed: stream.rstCode }));
  });
}

const request = { ":method": "POST", ":path": CONNECT, "content-type": "application/grpc" };

describe("a front stream", () => {
  it("of another method is UNIMPLEMENTED, trailers only", async () => {
    const proxy = await start();
    for (const path of ["/notary.v1.Notary/Sign", `${CONNECT}/`, "/", CONNECT.toLowerCase()]) {
      const headers = await answer(session(proxy).request({ ...request, ":path": path }));
      assert.equal(headers["grpc-status"], "12", path);
    }
    assert.equal((await outcome(user(proxy).open("/a.B/C"))).status.code, 12);
  });

  it("that is not gRPC is 415", async () => {
    const proxy = await start();
    for (const other of [
      { ":method": "GET" },
      { "content-type": "application/json" },
      { "content-type": "application/grpcx" },
    ]) {
      const headers = await answer(session(proxy).request({ ...request, ...other }));
      assert.equal(headers[":status"], 415);
    }
  });

  it("with header fields that cannot be forwarded hurts nobody else", async () => {
    const proxy = await start();
    const client = user(proxy);
    for (const fields of [
      { x$odd: "1" },
      { "content-type": ["application/grpc", "application/grpc"] },
      { "http2-settings": "AAAA" },
      { "x-many": Array.from({ length: 200 }, () => "1") },
      { "x-huge": "a".repeat(40_000) },
    ]) {
      try {
        const stream = session(proxy).request({ ...request, ...fields });
        stream.end();
        await answer(stream);
      } catch {
        // Node's own client refuses to send some of them.
      }
      assert.equal((await status(client)).code, grpc.status.OK);
    }
    assert.equal(proxy.load.enclaveConnections, 1);
  });

  it("that is reset reaches the enclave as a reset", async () => {
    const proxy = await start();
    const controller = new AbortController();
    const stream = session(proxy).request(request, { signal: controller.signal });
    stream.on("error", () => {});
    stream.write(Buffer.alloc(10));
    await answer(stream);
    seen.length = 0;
    controller.abort();
    await eventually(() => seen.includes("close 8"));
    assert.ok(!seen.includes("end"), seen.join());
    await eventually(() => proxy.load.forwardedStreams === 0);
  });

  it("whose connection is cut reaches the enclave as a reset", async () => {
    const proxy = await start();
    const socket = connectSocket(Number(proxy.address.split(":")[1]), "127.0.0.1");
    const client = connect("http://proxy", { createConnection: () => socket });
    client.on("error", () => {});
    await answer(client.request(request));
    seen.length = 0;
    socket.destroy();
    await eventually(() => seen.includes("close 8"));
    assert.ok(!seen.includes("end"), seen.join());
    await eventually(() => proxy.load.frontConnections === 0);
  });
});

describe("a limit", () => {
  it("on connections closes the next one, and lets one in when another has gone", async () => {
    const proxy = await start({ limits: { maxConnections: 2 } });
    const kept = [session(proxy), session(proxy)];
    await Promise.all(kept.map(async (client) => answer(client.request(request))));
    const third = session(proxy);
    await new Promise((resolve) => {
      third.once("close", resolve);
    });
    assert.equal(proxy.load.frontConnections, 2);
    kept[0]?.destroy();
    await eventually(() => proxy.load.frontConnections === 1);
    assert.equal((await answer(session(proxy).request(request)))[":status"], 200);
  });

  it("on connections of one address closes the next one", async () => {
    const proxy = await start({ limits: { maxConnectionsPerAddress: 1 } });
    const first = session(proxy);
    await answer(first.request(request));
    const second = session(proxy);
    await new Promise((resolve) => {
      second.once("close", resolve);
    });
    assert.equal(proxy.load.frontConnections, 1);
    first.destroy();
    await eventually(() => proxy.load.frontConnections === 0);
    assert.equal((await answer(session(proxy).request(request)))[":status"], 200);
  });

  it("on streams of a connection is announced, and kept by force", async () => {
    const proxy = await start({ limits: { maxStreamsPerConnection: 3 } });
    const client = session(proxy);
    // The client's own view is overruled, so that it opens more than it may.
    const streams = Array.from({ length: 5 }, () => client.request(request));
    const answers = await Promise.all(streams.map(answer));
    assert.equal(client.remoteSettings.maxConcurrentStreams, 3);
    const served = answers.filter((headers) => headers[":status"] === 200);
    assert.ok(served.length >= 3 && proxy.load.forwardedStreams <= 3);
  });

  it("on new sessions a second is RESOURCE_EXHAUSTED", async () => {
    const proxy = await start({ limits: { maxSessionsPerSecond: 1 } });
    const client = user(proxy);
    const codes: number[] = [];
    for (let index = 0; index < 6; index += 1) {
      codes.push((await status(client)).code);
    }
    assert.deepEqual(codes.slice(0, 4), [0, 0, 0, 0]);
    assert.ok(codes.includes(grpc.status.RESOURCE_EXHAUSTED));
  });

  it("that is none is refused when the proxy is made", async () => {
    for (const maxConnections of [0, -1, 1.5, Number.NaN]) {
      await assert.rejects(start({ limits: { maxConnections } }), { name: "RangeError" });
    }
    await assert.rejects(start({ windowBytes: 2 ** 31 }), { name: "RangeError" });
    await assert.rejects(start({ vsockBufferBytes: 0 }), { name: "RangeError" });
    await assert.rejects(start({ enclave: "nowhere" }), { name: "TypeError" });
  });
});

describe("a client that floods", () => {
  it("with bytes that are no HTTP/2 is closed", async () => {
    const proxy = await start();
    const socket: Socket = connectSocket(Number(proxy.address.split(":")[1]), "127.0.0.1");
    socket.on("error", () => {}).resume();
    socket.write("GET / HTTP/1.1\r\nhost: x\r\n\r\n");
    await new Promise((resolve) => {
      socket.once("close", resolve);
    });
    assert.equal((await status(user(proxy))).code, grpc.status.OK);
  });

  it("with PINGs and reads no answer is closed, and others are served meanwhile", async () => {
    const proxy = await start();
    const socket: Socket = connectSocket(Number(proxy.address.split(":")[1]), "127.0.0.1");
    socket.on("error", () => {}).pause();
    const ping = Buffer.from("0000080600000000000102030405060708", "hex");
    const pings = Buffer.alloc(ping.length * 64 * 1024, ping);
    socket.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    socket.write(Buffer.from("000000040000000000", "hex"));
    for (let round = 0; round < 40; round += 1) {
      socket.write(pings);
    }
    const client = user(proxy);
    for (let round = 0; round < 30; round += 1) {
      assert.equal((await status(client)).code, grpc.status.OK);
      assert.ok(proxy.load.queuedBytes < 2 * 1024 * 1024, String(proxy.load.queuedBytes));
    }
    await eventually(() => proxy.load.frontConnections === 1);
  });
});

describe("a TLS front", { skip: noOpenssl }, () => {
  let server: SelfSigned;
  let friend: SelfSigned;
  let stranger: SelfSigned;
  before(() => {
    [server, friend, stranger] = [selfSigned("localhost"), selfSigned("f"), selfSigned("s")];
  });

  const credentials = (own?: SelfSigned): grpc.ChannelCredentials =>
    grpc.credentials.createSsl(
      Buffer.from(server.cert),
      own ? Buffer.from(own.key) : null,
      own ? Buffer.from(own.cert) : null,
    );

  it("serves clients that trust its certificate", async () => {
    const proxy = await start({ tls: server });
    assert.equal((await status(user(proxy, credentials()))).code, grpc.status.OK);
  });

  it("closes connections that are counted no longer", async () => {
    const proxy = await start({ tls: server });
    const client = new ConnectClient(proxy.address, credentials());
    assert.equal((await status(client)).code, grpc.status.OK);
    client.close();
    await eventually(() => proxy.load.frontConnections === 0);
  });

  it("lets only clients in whose certificate the authority signed", async () => {
    const proxy = await start({ tls: { ...server, clientCa: friend.cert } });
    assert.equal((await status(user(proxy, credentials(friend)))).code, grpc.status.OK);
    for (const own of [undefined, stranger]) {
      assert.equal((await status(user(proxy, credentials(own)))).code, grpc.status.UNAVAILABLE);
    }
    await eventually(() => proxy.load.frontConnections === 1);
  });

  for (const ALPNProtocols of [undefined, ["http/1.1"]]) {
    it(`closes a client that offers ${ALPNProtocols?.join() ?? "no protocol"}`, async () => {
      const proxy = await start({ tls: server });
      const socket = connectTls({
        ...(ALPNProtocols === undefined ? {} : { ALPNProtocols }),
        ca: server.cert,
        host: "127.0.0.1",
        port: Number(proxy.address.split(":")[1]),
        servername: "localhost",
      });
      let received = 0;
      socket
        .on("error", () => {})
        .on("data", (chunk: Buffer) => {
          received += chunk.length;
        });
      await new Promise((resolve) => {
        socket.once("close", resolve);
      });
      assert.equal(received, 0);
      await eventually(() => proxy.load.frontConnections === 0);
    });
  }

  it("is not made of something that is no certificate", async () => {
    await assert.rejects(start({ tls: { cert: "x", key: server.key } }), /PEM|no start line/i);
  });
});
