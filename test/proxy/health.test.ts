import assert from "node:assert/strict";
import { connect } from "node:http2";
import { after, before, describe, it } from "node:test";
import * as grpc from "@grpc/grpc-js";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  HealthCheckRequestSchema,
  HealthCheckResponseSchema,
} from "#gen/grpc/health/v1/health_pb.js";
import { type Proxy, startProxy } from "../../services/proxy/index.ts";
import { eventually, type Http2Enclave, startHttp2Enclave } from "../support/http2-enclave.ts";

const [SERVING, NOT_SERVING, SERVICE_UNKNOWN] = [1, 2, 3];
const serialize = (service: string): Buffer =>
  Buffer.from(toBinary(HealthCheckRequestSchema, create(HealthCheckRequestSchema, { service })));
const deserialize = (bytes: Buffer): number => fromBinary(HealthCheckResponseSchema, bytes).status;

let enclave: Http2Enclave;
let proxy: Proxy;
let client: grpc.Client;
before(async () => {
  enclave = await startHttp2Enclave(() => {});
  proxy = await startProxy({ enclave: enclave.address, listen: "127.0.0.1:0" });
  client = new grpc.Client(proxy.address, grpc.credentials.createInsecure());
  await eventually(() => proxy.load.enclaveConnections === 1);
});
after(async () => {
  client.close();
  await proxy.close(0);
  await enclave.close();
});

async function check(service: string): Promise<number | grpc.ServiceError> {
  return new Promise((resolve) => {
    client.makeUnaryRequest(
      "/grpc.health.v1.Health/Check",
      serialize,
      deserialize,
      service,
      (error, status) => resolve(error ?? status ?? -1),
    );
  });
}

function watch(service: string): { seen: number[]; call: grpc.ClientReadableStream<number> } {
  const seen: number[] = [];
  const call = client.makeServerStreamRequest(
    "/grpc.health.v1.Health/Watch",
    serialize,
    deserialize,
    service,
  );
  call.on("data", (status: number) => seen.push(status)).on("error", () => {});
  return { call, seen };
}

/** Sends bytes as they are and says which status came. */
async function raw(bytes: Buffer): Promise<unknown> {
  const session = connect(`http://${proxy.address}`);
  const stream = session.request({
    ":method": "POST",
    ":path": "/grpc.health.v1.Health/Check",
    "content-type": "application/grpc",
  });
  stream.on("error", () => {}).resume();
  stream.end(bytes);
  const status = await new Promise((resolve) => {
    stream.once("response", (headers) => resolve(headers["grpc-status"]));
    stream.once("trailers", (headers: Record<string, string>) => resolve(headers["grpc-status"]));
  });
  session.destroy();
  return status;
}

describe("the proxy's health", () => {
  it("is SERVING for the proxy and for the service that it forwards", async () => {
    assert.equal(await check(""), SERVING);
    assert.equal(await check("sealrpc.v1.AttestedChannelService"), SERVING);
  });

  it("is NOT_FOUND for another service", async () => {
    const error = await check("notary.v1.Notary");
    assert.ok(error instanceof Error && error.code === grpc.status.NOT_FOUND);
  });

  it("is watched through the loss and the return of the enclave", async () => {
    const known = watch("");
    const unknown = watch("other");
    await eventually(() => known.seen.length === 1 && unknown.seen.length === 1);
    await enclave.close();
    await eventually(() => known.seen.length === 2);
    assert.equal(await check(""), NOT_SERVING);
    enclave = await startHttp2Enclave(() => {}, {}, Number(enclave.address.split(":")[1]));
    await eventually(() => known.seen.length === 3);
    assert.deepEqual(known.seen, [SERVING, NOT_SERVING, SERVING]);
    assert.deepEqual(unknown.seen, [SERVICE_UNKNOWN]);
    known.call.cancel();
    unknown.call.cancel();
  });

  for (const [what, bytes] of [
    ["nothing", Buffer.alloc(0)],
    ["a cut prefix", Buffer.alloc(4)],
    ["a cut message", Buffer.from("00000000050a", "hex")],
    ["two messages", Buffer.alloc(10)],
    ["a compressed message", Buffer.from("0100000000", "hex")],
    ["no protobuf", Buffer.from("0000000002ffff", "hex")],
    ["a text that is no UTF-8", Buffer.from("00000000030a01ff", "hex")],
    ["far too much", Buffer.alloc(100_000)],
  ] as const) {
    it(`refuses ${what}`, async () => {
      assert.equal(await raw(bytes), "13");
    });
  }
});

describe("closing the proxy", () => {
  it("says NOT_SERVING, lets streams finish, and takes no more", async () => {
    const own = await startHttp2Enclave((stream) => {
      stream.respond(
        { ":status": 200, "content-type": "application/grpc" },
        { waitForTrailers: true },
      );
      stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
      stream.on("data", () => {}).on("end", () => stream.end());
    });
    const draining = await startProxy({ enclave: own.address, listen: "127.0.0.1:0" });
    const user = new grpc.Client(draining.address, grpc.credentials.createInsecure());
    const health: number[] = [];
    const watching = user.makeServerStreamRequest(
      "/grpc.health.v1.Health/Watch",
      serialize,
      deserialize,
      "",
    );
    watching.on("data", (status: number) => health.push(status)).on("error", () => {});
    const ended = new Promise<number>((resolve) => {
      watching.on("status", ({ code }) => resolve(code));
    });
    const call = user.makeBidiStreamRequest(
      "/sealrpc.v1.AttestedChannelService/Connect",
      (bytes: Buffer) => bytes,
      (bytes) => bytes,
    );
    call.on("data", () => {}).on("error", () => {});
    const finished = new Promise<number>((resolve) => {
      call.on("status", ({ code }) => resolve(code));
    });
    await new Promise((resolve) => {
      call.once("metadata", resolve);
    });
    const closed = draining.close(20_000);
    await eventually(() => health.at(-1) === NOT_SERVING);
    const late = connect(`http://${draining.address}`);
    await new Promise((resolve) => {
      late.once("error", resolve);
    });
    call.write(Buffer.from("still here"));
    call.end();
    assert.equal(await finished, grpc.status.OK);
    await closed;
    assert.equal(await ended, grpc.status.UNAVAILABLE);
    await eventually(() => own.sessions.size === 0);
    user.close();
    await own.close();
  });

  it("ends streams as UNAVAILABLE when the grace is over, and a second call shortens it", async () => {
    const own = await startHttp2Enclave((stream) => {
      stream.respond({ ":status": 200, "content-type": "application/grpc" });
    });
    const draining = await startProxy({ enclave: own.address, listen: "127.0.0.1:0" });
    const user = new grpc.Client(draining.address, grpc.credentials.createInsecure());
    const call = user.makeBidiStreamRequest(
      "/sealrpc.v1.AttestedChannelService/Connect",
      (bytes: Buffer) => bytes,
      (bytes) => bytes,
    );
    call.on("data", () => {}).on("error", () => {});
    const status = new Promise<grpc.StatusObject>((resolve) => {
      call.on("status", resolve);
    });
    await new Promise((resolve) => {
      call.once("metadata", resolve);
    });
    const closed = draining.close();
    await draining.close(10);
    await closed;
    assert.equal((await status).code, grpc.status.UNAVAILABLE);
    assert.match((await status).details, /shutting down/);
    user.close();
    await own.close();
  });
});
