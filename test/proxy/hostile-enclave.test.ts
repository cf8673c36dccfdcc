import assert from "node:assert/strict";
import { connect } from "node:http2";
import { after, afterEach, before, describe, it } from "node:test";
import * as grpc from "@grpc/grpc-js";
import { startProxy, type Proxy } from "../../services/proxy/index.ts";
import { ConnectClient, outcome, type Outcome } from "../support/connect-service.ts";
import {
  type Http2Enclave,
  startHttp2Enclave,
  startRawServer,
  type StreamHandler,
} from "../support/http2-enclave.ts";

const OK = { ":status": 200, "content-type": "application/grpc" };
/** Frames of HTTP/2: an empty SETTINGS, one that allows no streams, and GOAWAY up to its error code. */
const SETTINGS = "000000040000000000";
const SETTINGS_NO_STREAMS = "000006040000000000000300000000";
const GOAWAY = "00000807000000000000000000";
/** A gRPC message of 3 bytes. */
const MESSAGE = Buffer.from("0000000003010203", "hex");

let misbehave: StreamHandler = () => {};
let enclave: Http2Enclave;
let proxy: Proxy;
let client: ConnectClient;
before(async () => {
  enclave = await startHttp2Enclave((stream, headers) => misbehave(stream, headers), {
    maxSendHeaderBlockLength: 1 << 24,
  });
  proxy = await startProxy({ enclave: enclave.address, listen: "127.0.0.1:0" });
  client = new ConnectClient(proxy.address);
});
after(async () => {
  client.close();
  await proxy.close(0);
  await enclave.close();
});

async function call(handler: StreamHandler): Promise<Outcome> {
  misbehave = handler;
  const open = client.open();
  open.write(Buffer.alloc(10));
  return outcome(open);
}

describe("an enclave's answer", () => {
  afterEach(async () => {
    // Whatever the enclave did, the next client is served.
    const { status } = await call((stream) => {
      stream.respond({ ...OK, "grpc-status": "0" }, { endStream: true });
    });
    assert.equal(status.code, grpc.status.OK);
  });

  it("without trailers is no answer", async () => {
    const { messages, status } = await call((stream) => {
      stream.respond(OK);
      stream.end(MESSAGE);
    });
    assert.equal(messages.length, 1);
    assert.equal(status.code, grpc.status.INTERNAL);
  });

  it("of a header block only, without a status, is UNKNOWN", async () => {
    const { status } = await call((stream) => stream.respond(OK, { endStream: true }));
    assert.equal(status.code, grpc.status.UNKNOWN);
    assert.match(status.details, /no valid gRPC status/);
  });

  for (const bad of ["17", "-1", "00", "1e1", "0x0", " 0", "99999999999999999999", "", "ok"]) {
    it(`with the status ${JSON.stringify(bad)} is UNKNOWN`, async () => {
      const { status } = await call((stream) => {
        stream.respond(OK, { waitForTrailers: true });
        stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": bad }));
        stream.end();
      });
      assert.equal(status.code, grpc.status.UNKNOWN);
    });
  }

  it("that is not HTTP 200 is UNAVAILABLE, and names what it was", async () => {
    const { status } = await call((stream) => {
      stream.respond({ ":status": 404 });
      stream.end("<html>not found</html>");
    });
    assert.equal(status.code, grpc.status.UNAVAILABLE);
    assert.match(status.details, /HTTP status 404/);
  });

  it("with too many header fields reaches nobody, whatever the client would take", async () => {
    misbehave = (stream) => {
      const names = Array.from({ length: 200 }, (_, index) => `x-${index}`);
      stream.respond({ ...OK, ...Object.fromEntries(names.map((name) => [name, "1"] as const)) });
    };
    const session = connect(`http://${proxy.address}`, { maxHeaderListPairs: 1000 });
    const stream = session.request({
      ":method": "POST",
      ":path": "/sealrpc.v1.AttestedChannelService/Connect",
      "content-type": "application/grpc",
    });
    stream.on("error", () => {});
    const answered = await new Promise<boolean>((resolve) => {
      stream.once("response", () => resolve(true)).once("close", () => resolve(false));
    });
    assert.equal(answered, false);
    session.destroy();
  });

  it("with huge header fields reaches nobody", async () => {
    const { metadata, status } = await call((stream) =>
      stream.respond({ ...OK, "x-huge": "a".repeat(60_000) }),
    );
    assert.equal(metadata, undefined);
    assert.notEqual(status.code, grpc.status.OK);
  });

  it("with huge trailers is no answer", async () => {
    const { status } = await call((stream) => {
      stream.respond(OK, { waitForTrailers: true });
      stream.on("wantTrailers", () =>
        stream.sendTrailers({ "grpc-status": "0", "x-huge": "a".repeat(60_000) }),
      );
      stream.end(MESSAGE);
    });
    assert.notEqual(status.code, grpc.status.OK);
  });

  it("loses what belongs to one hop, and names that gRPC does not know", async () => {
    const { metadata, status } = await call((stream) => {
      stream.respond({ ...OK, x$y: "1", "x-kept": "2" }, { waitForTrailers: true });
      stream.on("wantTrailers", () =>
        stream.sendTrailers({ "grpc-status": "0", "x!z": "1", "x-last": "3" }),
      );
      stream.end();
    });
    assert.equal(status.code, grpc.status.OK);
    assert.deepEqual(metadata?.get("x-kept"), ["2"]);
    assert.deepEqual(metadata?.get("x$y"), []);
    assert.deepEqual(status.metadata.get("x-last"), ["3"]);
    assert.deepEqual(status.metadata.get("x!z"), []);
  });

  it("may come before an upload is finished", async () => {
    const { messages, status } = await call((stream) => {
      stream.respond(OK, { waitForTrailers: true });
      stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "9" }));
      stream.end(MESSAGE);
    });
    assert.equal(messages.length, 1);
    assert.equal(status.code, 9);
  });
});

describe("a reset by the enclave", () => {
  const meaning: Record<number, grpc.status> = {
    1: grpc.status.INTERNAL,
    2: grpc.status.INTERNAL,
    3: grpc.status.INTERNAL,
    4: grpc.status.INTERNAL,
    5: grpc.status.INTERNAL,
    6: grpc.status.INTERNAL,
    7: grpc.status.UNAVAILABLE,
    8: grpc.status.CANCELLED,
    9: grpc.status.INTERNAL,
    10: grpc.status.INTERNAL,
    11: grpc.status.RESOURCE_EXHAUSTED,
    12: grpc.status.PERMISSION_DENIED,
    13: grpc.status.INTERNAL,
  };
  for (const [code, expected] of Object.entries(meaning)) {
    it(`with code ${code} is passed on, before and after headers`, async () => {
      const early = await call((stream) => stream.close(Number(code)));
      assert.equal(early.status.code, expected, early.status.details);
      const late = await call((stream) => {
        stream.respond(OK);
        stream.write(MESSAGE, () => stream.close(Number(code)));
      });
      assert.equal(late.status.code, expected, late.status.details);
    });
  }

  it("without an error, before the answer is complete, is INTERNAL", async () => {
    const { status } = await call((stream) => {
      stream.respond(OK);
      stream.write(MESSAGE, () => stream.close(0));
    });
    assert.equal(status.code, grpc.status.INTERNAL);
  });
});

describe("what is no HTTP/2 server", () => {
  const peers: [string, (write: (bytes: string | Buffer) => void) => void][] = [
    ["greets in HTTP/1", (write) => write("HTTP/1.1 400 Bad Request\r\n\r\n")],
    ["sends zeros", (write) => write(Buffer.alloc(1000))],
    ["announces an endless frame", (write) => write(Buffer.alloc(1000, 255))],
    // An empty SETTINGS frame first, so that the proxy takes it for an enclave.
    ["breaks off", (write) => write(Buffer.from(SETTINGS + "ffffff000000000001", "hex"))],
    ["leaves at once", (write) => write(Buffer.from(SETTINGS + GOAWAY + "00000000", "hex"))],
    ["fails at once", (write) => write(Buffer.from(SETTINGS + GOAWAY + "00000002", "hex"))],
  ];
  for (const [name, greet] of peers) {
    it(`and ${name} is UNAVAILABLE`, async () => {
      let dials = 0;
      const raw = await startRawServer((socket) => {
        dials += 1;
        socket.once("data", () => greet((bytes) => socket.write(bytes)));
      });
      const own = await startProxy({
        enclave: raw.address,
        listen: "127.0.0.1:0",
        // After a connection error HTTP/2 says GOAWAY and waits for the peer to close.
        pingIntervalMs: 100,
      });
      const user = new ConnectClient(own.address);
      const { status } = await outcome(user.open());
      assert.equal(status.code, grpc.status.UNAVAILABLE, status.details);
      assert.ok(dials <= 3, `dialed ${dials} times`);
      user.close();
      await own.close(0);
      await raw.close();
    });
  }

  it("and takes no stream is RESOURCE_EXHAUSTED, and is not dialed again for it", async () => {
    let dials = 0;
    const raw = await startRawServer((socket) => {
      dials += 1;
      socket.once("data", () => socket.write(Buffer.from(SETTINGS_NO_STREAMS, "hex")));
    });
    const own = await startProxy({ enclave: raw.address, listen: "127.0.0.1:0" });
    const user = new ConnectClient(own.address);
    // Once by itself, and once for each.
    for (const expected of [2, 3]) {
      const { status } = await outcome(user.open());
      assert.equal(status.code, grpc.status.RESOURCE_EXHAUSTED, status.details);
      assert.ok(dials <= expected, `dialed ${dials} times`);
    }
    user.close();
    await own.close(0);
    await raw.close();
  });

  it("and falls silent is UNAVAILABLE when a PING has no answer", async () => {
    const raw = await startRawServer((socket) => {
      socket.once("data", () => socket.write(Buffer.from(SETTINGS, "hex")));
    });
    const own = await startProxy({
      enclave: raw.address,
      listen: "127.0.0.1:0",
      pingIntervalMs: 50,
    });
    const user = new ConnectClient(own.address);
    const { status } = await outcome(user.open());
    assert.equal(status.code, grpc.status.UNAVAILABLE);
    assert.match(status.details, /connection to the enclave was lost/);
    user.close();
    await own.close(0);
    await raw.close();
  });

  it("and says nothing is UNAVAILABLE when the time for it is over", async () => {
    const raw = await startRawServer(() => {});
    const own = await startProxy({
      dialTimeoutMs: 50,
      enclave: raw.address,
      listen: "127.0.0.1:0",
    });
    const user = new ConnectClient(own.address);
    const { status } = await outcome(user.open());
    assert.equal(status.code, grpc.status.UNAVAILABLE);
    assert.match(status.details, /cannot reach the enclave/);
    user.close();
    await own.close(0);
    await raw.close();
  });
});
