import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { create, fromBinary, toBinary } from "@bufbuild/protobuf";

import { BehaviorService } from "#gen/behavior/v1/behavior_pb.js";
import {
  Health as HealthDescriptor,
  HealthCheckRequestSchema,
  HealthCheckResponse_ServingStatus as Serving,
  HealthCheckResponseSchema,
} from "#gen/grpc/health/v1/health_pb.js";
import { Dispatcher } from "../../services/enclave/dispatcher.ts";
import { Health } from "../../services/enclave/health.ts";
import { serviceDefinition } from "../../services/grpc/service-definition.ts";
import { TestEnclave } from "../support/enclave.ts";
import type { RawCall, RawSession } from "../support/raw-client.ts";
import { SETTINGS, settle } from "../support/dispatch.ts";
import { FakeCall } from "../support/fake-call.ts";

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

describe("a watch that is not read", () => {
  it("is told the newest status when it is, and not all those before", async () => {
    const health = new Health();
    const dispatcher = new Dispatcher();
    dispatcher.add(serviceDefinition(HealthDescriptor), health.handlers);
    const call = new FakeCall();
    const header = { metadata: [], sentMs: 0, timeoutMs: 0, encoding: "", authority: "" };
    const method = "/grpc.health.v1.Health/Watch";
    call.attach(dispatcher.open(call, { method, ...header }, SETTINGS));
    call.clogged = true;
    call.deliver(asked("")).clientEnd();
    for (let i = 0; i < 1001; i++) health.setStatus("", i % 2 ? "SERVING" : "NOT_SERVING");
    call.unclog();
    await settle();
    assert.ok(call.messages.length < 40, `${call.messages.length} messages`);
    assert.equal(statusIn(call.messages.at(-1)), Serving.NOT_SERVING);
  });
});

describe("a health service of the application", () => {
  it("takes the place of the built-in one", async () => {
    const enclave = await TestEnclave.start((server) =>
      server.addService(HealthDescriptor, {
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
