import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { create, fromBinary, toBinary } from "@bufbuild/protobuf";

import { BehaviorService } from "#gen/behavior/v1/behavior_pb.js";
import {
  HealthCheckRequestSchema,
  HealthCheckResponse_ServingStatus as Serving,
  HealthCheckResponseSchema,
} from "#gen/grpc/health/v1/health_pb.js";
import { TestEnclave } from "../support/enclave.ts";
import type { RawCall, RawSession } from "../support/raw-client.ts";
import { settle } from "../support/dispatch.ts";

const asked = (service: string): Uint8Array =>
  toBinary(HealthCheckRequestSchema, create(HealthCheckRequestSchema, { service }));
const statusIn = (bytes: Uint8Array | undefined): Serving | undefined =>
  bytes && fromBinary(HealthCheckResponseSchema, bytes).status;

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await settle();
}

describe("the health service inside the seal", () => {
  let enclave: TestEnclave;
  let session: RawSession;
  before(async () => {
    enclave = await TestEnclave.start((server) => server.addService(BehaviorService, {}));
    session = await enclave.session();
  });
  after(() => enclave.stop());

  const check = async (service: string): Promise<Serving | number | undefined> => {
    const options = { method: "/grpc.health.v1.Health/Check" };
    const { messages, end } = await session.unary("", asked(service), options);
    return statusIn(messages[0]) ?? (end.kind === "status" ? end.status.code : undefined);
  };
  const watch = (service: string): RawCall => {
    const opened = session.open("", { method: "/grpc.health.v1.Health/Watch" });
    opened.call.sendMessage(asked(service));
    opened.call.halfClose();
    return opened;
  };

  it("says SERVING of the server and of each service that was added", async () => {
    assert.equal(await check(""), Serving.SERVING);
    assert.equal(await check("behavior.v1.BehaviorService"), Serving.SERVING);
    assert.equal(await check("grpc.health.v1.Health"), Serving.SERVING);
  });

  it("answers NOT_FOUND for a service that it does not know", async () => {
    assert.equal(await check("no.Such"), 5);
  });

  it("says what was set", async () => {
    enclave.server.health.setStatus("a.Service", "NOT_SERVING");
    assert.equal(await check("a.Service"), Serving.NOT_SERVING);
  });

  it("tells a watch the status now and each change, once, and does not end it", async () => {
    const { health } = enclave.server;
    health.setStatus("b.Service", "SERVING");
    const { messages } = watch("b.Service");
    await until(() => messages.length === 1);
    health.setStatus("b.Service", "SERVING");
    health.setStatus("another", "NOT_SERVING");
    health.setStatus("b.Service", "NOT_SERVING");
    await until(() => messages.length === 2);
    assert.deepEqual(messages.map(statusIn), [Serving.SERVING, Serving.NOT_SERVING]);
  });

  it("tells a watch of an unknown service so, and its status when it gets one", async () => {
    const { messages } = watch("c.Service");
    await until(() => messages.length === 1);
    enclave.server.health.setStatus("c.Service", "SERVING");
    await until(() => messages.length === 2);
    assert.deepEqual(messages.map(statusIn), [Serving.SERVICE_UNKNOWN, Serving.SERVING]);
  });

  it("tells watches NOT_SERVING at a shutdown and ends them, so that it need not wait", async () => {
    const other = await TestEnclave.start((server) => server.addService(BehaviorService, {}));
    session = await other.session();
    const { messages, answer } = watch("behavior.v1.BehaviorService");
    await until(() => messages.length === 1);
    await other.server.shutdown(600_000);
    const { end } = await answer;
    assert.deepEqual(messages.map(statusIn), [Serving.SERVING, Serving.NOT_SERVING]);
    assert.equal(end.kind === "status" && end.status.code, 14);
  });
});

describe("a health service of the application", () => {
  it("takes the place of the built-in one", async () => {
    const { Health } = await import("#gen/grpc/health/v1/health_pb.js");
    const enclave = await TestEnclave.start((server) =>
      server.addService(Health, {
        check: (_call, callback) => callback(null, { status: Serving.NOT_SERVING }),
      }),
    );
    const session = await enclave.session();
    const options = { method: "/grpc.health.v1.Health/Check" };
    const { messages } = await session.unary("", asked(""), options);
    assert.equal(statusIn(messages[0]), Serving.NOT_SERVING);
    await enclave.stop();
  });
});
