import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { BehaviorService } from "#gen/behavior/v1/behavior_pb.js";
import { Simulator } from "../../attestation/nsm/simulator.ts";
import {
  AttestedChannel,
  CallError,
  codeOf,
  type ClientAttester,
  createClient,
} from "../../services/client/index.ts";
import { callerOf } from "../../services/enclave/caller.ts";
import { response } from "../support/dispatch.ts";
import { TestEnclave } from "../support/enclave.ts";

describe("a client of an enclave that asks its callers to attest", () => {
  const seen: (string | undefined)[] = [];
  let module: Simulator;
  let enclave: TestEnclave;
  before(async () => {
    module = await Simulator.create();
    enclave = await TestEnclave.start(
      (server) =>
        server.addService(BehaviorService, {
          unary: (call, callback) => {
            seen.push(callerOf(call)?.claims.moduleId);
            callback(null, response("x"));
          },
        }),
      { callers: module.policyOptions() },
    );
  });
  after(() => enclave.stop());

  async function callBy(attester?: ClientAttester): Promise<void> {
    const { address: target, policy } = enclave;
    const channel = new AttestedChannel(target, { policy, ...(attester && { attester }) });
    try {
      await createClient(BehaviorService, channel).unary({}, { timeoutMs: 10_000 });
    } finally {
      channel.close();
    }
  }
  const refused = (code: string) => (error: unknown) =>
    error instanceof CallError &&
    codeOf(error) === code &&
    error.outcome === "not-executed" &&
    seen.length === 0;

  it("is admitted by the evidence of its attester", async () => {
    await callBy(module);
    assert.deepEqual(seen.splice(0), [module.moduleId]);
  });

  it("is refused without an attester", async () => {
    await assert.rejects(callBy(), refused("caller-refused"));
  });

  it("is refused with evidence that the enclave's policy does not admit", async () => {
    await assert.rejects(callBy(await Simulator.create()), refused("caller-refused"));
  });

  it("fails with the error of its module", async () => {
    const closed = await Simulator.create();
    await closed.close();
    await assert.rejects(callBy(closed), refused("nsm-unavailable"));
  });
});
