import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { BehaviorService } from "#gen/behavior/v1/behavior_pb.js";
import { request, response } from "../support/dispatch.ts";
import { TestEnclave } from "../support/enclave.ts";

describe("a server with a raw handler", { timeout: 10_000 }, () => {
  it("keeps the methods that were added, and gives it all others, health too", async () => {
    const raw: string[] = [];
    const enclave = await TestEnclave.start(
      (server) =>
        server.addService(BehaviorService, { unary: (_call, done) => done(null, response("own")) }),
      {
        rawHandler: (call, { method }, caller) => {
          raw.push(method);
          assert.equal(caller, undefined);
          call.refuse({ code: 12, message: "raw", trailers: [] });
          return { onMessage() {}, onHalfClose() {}, onCancel() {} };
        },
      },
    );
    const session = await enclave.session();
    const own = await session.unary("Unary", request("x"));
    assert.equal(own.end.kind, "status");
    const others = ["/behavior.v1.BehaviorService/None", "/grpc.health.v1.Health/Check"];
    for (const method of others) {
      const { end } = await session.unary("", request("x"), { method });
      assert.ok(end.kind === "refused");
      assert.equal(end.status.message, "raw");
    }
    assert.deepEqual(raw, others);
    await enclave.stop();
  });
});
