import assert from "node:assert/strict";
import { once } from "node:events";
import { after, before, describe, it } from "node:test";
import * as grpc from "@grpc/grpc-js";
import {
  Health,
  HealthCheckResponse_ServingStatus as Serving,
} from "#gen/grpc/health/v1/health_pb.js";
import { serviceDefinition } from "../../services/grpc/service-definition.ts";
import { type Sidecar, startSidecar } from "../../services/sidecar/index.ts";
import { TestEnclave } from "../support/enclave.ts";
import { Forwarder } from "../support/forwarder.ts";
import { framed } from "../support/framed.ts";
import { PlainClient, statusOf } from "../support/plain-client.ts";

const definition = serviceDefinition(Health);
const CHECK = definition.check;

describe("health at the sidecar", { timeout: 30_000 }, () => {
  let enclave: TestEnclave;
  let link: Forwarder;
  let sidecar: Sidecar;
  let client: grpc.Client;
  before(async () => {
    enclave = await TestEnclave.start((server) => {
      server.health.setStatus("a.B", "SERVING");
      server.health.setStatus("a.C", "NOT_SERVING");
      server.health.setStatus("a.E", "NOT_SERVING");
    });
    const [host = "", port] = enclave.address.split(":");
    link = await Forwarder.start({ host, port: Number(port) });
    sidecar = await startSidecar({
      listen: "127.0.0.1:0",
      target: `127.0.0.1:${link.port}`,
      policy: enclave.policy,
      channelOptions: {
        "grpc.initial_reconnect_backoff_ms": 100,
        "grpc.max_reconnect_backoff_ms": 200,
      },
    });
    client = new grpc.Client(sidecar.address, grpc.credentials.createInsecure());
  });
  after(async () => {
    client.close();
    await sidecar.close(0);
    await link.down();
    await enclave.stop();
  });

  const check = async (service: string): Promise<Serving | grpc.status> =>
    new Promise((resolve) => {
      const { path, requestSerialize, responseDeserialize } = CHECK;
      client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        { service },
        (error, answer) => resolve(error?.code ?? answer?.status ?? Serving.UNKNOWN),
      );
    });

  it("is SERVING while a session can be had, and the enclave's own for each service", async () => {
    assert.equal(await check(""), Serving.SERVING);
    assert.equal(await check("a.B"), Serving.SERVING);
    assert.equal(await check("a.C"), Serving.NOT_SERVING);
    assert.equal(await check("a.D"), grpc.status.NOT_FOUND);
  });

  it("follows the way to the enclave, for those who watch", async () => {
    const { path, requestSerialize, responseDeserialize } = definition.watch;
    const watch = client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, {
      service: "",
    });
    watch.on("error", () => {});
    const until = async (wanted: Serving): Promise<void> => {
      for (;;) {
        const [{ status }] = (await once(watch, "data")) as [{ status: Serving }];
        if (status === wanted) return;
      }
    };
    await until(Serving.SERVING);
    await link.down();
    await until(Serving.NOT_SERVING);
    assert.equal(await check(""), Serving.NOT_SERVING);
    assert.equal(await check("a.B"), grpc.status.UNAVAILABLE);
    await link.up();
    await until(Serving.SERVING);
    watch.cancel();
  });

  it("passes a watch of a service on to the enclave", async () => {
    const { path, requestSerialize, responseDeserialize } = definition.watch;
    const watch = client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, {
      service: "a.C",
    });
    watch.on("error", () => {});
    const [first] = (await once(watch, "data")) as [{ status: Serving }];
    assert.equal(first.status, Serving.NOT_SERVING);
    enclave.server.health.setStatus("a.C", "SERVING");
    const [second] = (await once(watch, "data")) as [{ status: Serving }];
    assert.equal(second.status, Serving.SERVING);
    watch.cancel();
  });

  it("reads a request that comes in pieces, and passes it on whole", async () => {
    const plain = await PlainClient.connect(sidecar.address);
    for (const [service, expected] of [
      ["", Serving.SERVING],
      ["a.E", Serving.NOT_SERVING],
    ] as const) {
      const { stream, answer } = plain.open("/grpc.health.v1.Health/Check");
      for (const byte of framed(CHECK.requestSerialize({ service }))) {
        stream.write(Buffer.of(byte));
        await new Promise((resolve) => setImmediate(resolve));
      }
      stream.end();
      const { messages } = await answer;
      assert.equal(CHECK.responseDeserialize(messages[0]?.message ?? Buffer.of()).status, expected);
    }
    plain.close();
  });

  it("says INTERNAL to a request without a message", async () => {
    const plain = await PlainClient.connect(sidecar.address);
    const { answer } = plain.open("/grpc.health.v1.Health/Check", {}, true);
    assert.equal(statusOf(await answer).code, grpc.status.INTERNAL);
    plain.close();
  });

  it("is NOT_SERVING for those who watch when the sidecar stops, and then ends", async () => {
    const other = await startSidecar({
      listen: "127.0.0.1:0",
      target: enclave.address,
      policy: enclave.policy,
    });
    const local = new grpc.Client(other.address, grpc.credentials.createInsecure());
    const { path, requestSerialize, responseDeserialize } = definition.watch;
    const watch = local.makeServerStreamRequest(path, requestSerialize, responseDeserialize, {
      service: "",
    });
    const told: Serving[] = [];
    watch.on("data", ({ status }: { status: Serving }) => told.push(status));
    watch.on("error", () => {});
    while (told.at(-1) !== Serving.SERVING) await once(watch, "data");
    const ended = new Promise<grpc.StatusObject>((resolve) => watch.on("status", resolve));
    await other.close(5_000);
    assert.equal((await ended).code, grpc.status.UNAVAILABLE);
    assert.equal(told.at(-1), Serving.NOT_SERVING);
    local.close();
  });
});
