import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { BehaviorService } from "#gen/behavior/v1/behavior_pb.js";
import { Simulator } from "../../attestation/nsm/simulator.ts";
import { Policy } from "../../attestation/policy.ts";
import { VerifiedEvidence } from "../../attestation/verified-evidence.ts";
import { ClientHandshake } from "../../channel/client-handshake.ts";
import { ChannelError } from "../../channel/errors.ts";
import { nodeBackend } from "../../crypto/node.ts";
import { callerOf } from "../../services/enclave/caller.ts";
import { EnclaveServer } from "../../services/enclave/server.ts";
import { request, response } from "../support/dispatch.ts";
import { TestEnclave } from "../support/enclave.ts";

describe("a server that asks its callers to attest", () => {
  const seen: (VerifiedEvidence | undefined)[] = [];
  let caller: Simulator;
  let enclave: TestEnclave;
  const add = (server: EnclaveServer): void =>
    server.addService(BehaviorService, {
      unary: (call, callback) => {
        seen.push(call.getAuthContext().evidence, callerOf(call));
        callback(null, response("x"));
      },
    });
  const attestBy = (simulator: Simulator) => (userData: Uint8Array, nonce: Uint8Array) =>
    simulator.attest({ userData, nonce });

  before(async () => {
    caller = await Simulator.create();
    enclave = await TestEnclave.start(add, { callers: caller.policyOptions() });
  });
  after(() => enclave.stop());

  it("shows handlers the verified evidence of the caller", async () => {
    const session = await enclave.session({ attest: attestBy(caller) });
    await session.unary("Unary", request("x"));
    const description = seen.splice(0);
    assert.equal(description.length, 2);
    for (const evidence of description) {
      assert.equal(evidence?.claims.pcrs[0], caller.policyOptions().referenceValues[0].pcr0);
    }
  });

  it("refuses a caller whom the policy does not admit, and nothing runs", async () => {
    const stranger = await Simulator.create();
    await assert.rejects(
      enclave.session({ attest: attestBy(stranger) }),
      (error) => error instanceof ChannelError && error.code === "caller-refused",
    );
    assert.deepEqual(seen, []);
  });

  it("ends the stream of a refused caller with the one error, like any other", async () => {
    const stranger = await Simulator.create();
    const client = await enclave.dial();
    const stream = client.stream();
    const { verify } = enclave;
    const attest = attestBy(stranger);
    const options = { backend: nodeBackend, suites: [1] as const, initialCredit: 65_536 };
    const handshake = new ClientHandshake({ ...options, verify, attest });
    stream.send(handshake.hello());
    stream.send(await handshake.receiveHello(await stream.next()));
    await stream.next();
    assert.deepEqual(await stream.ended, {
      status: 9,
      message: "sealrpc: session",
      httpStatus: 200,
    });
  });

  it("refuses evidence that was made for another handshake", async () => {
    let old: Promise<Uint8Array> | undefined;
    const replay = (userData: Uint8Array, nonce: Uint8Array): Promise<Uint8Array> =>
      (old ??= caller.attest({ userData, nonce }));
    await enclave.session({ attest: replay });
    await assert.rejects(
      enclave.session({ attest: replay }),
      (error) => error instanceof ChannelError && error.code === "caller-refused",
    );
  });

  it("goes by the policy that it was given last, and ends sessions of others at once", async () => {
    const successor = await Simulator.create();
    const changing = await TestEnclave.start(add, { callers: caller.policyOptions() });
    const session = await changing.session({ attest: attestBy(caller) });
    const both = await changing.session({ attest: attestBy(caller) });
    assert.throws(() => changing.server.updateCallers({ referenceValues: [] }), RangeError);
    changing.server.updateCallers({ ...caller.policyOptions(), maxAgeMs: 1000 });
    await both.unary("Unary", request("x"));
    changing.server.updateCallers(successor.policyOptions());
    for (const { closed } of [session, both]) assert.equal((await closed)?.code, "peer-alert");
    await assert.rejects(
      changing.session({ attest: attestBy(caller) }),
      (error) => error instanceof ChannelError && error.code === "caller-refused",
    );
    const next = await changing.session({ attest: attestBy(successor) });
    await next.unary("Unary", request("x"));
    assert.equal(seen.splice(0).length, 4);
    await changing.stop();
  });

  it("judges certificates by its own module's time, not the host's", async () => {
    const hours = 3_600_000;
    const module = await Simulator.create({ now: () => Date.now() + 24 * hours });
    const later = await TestEnclave.start(add, {
      attester: module,
      callers: caller.policyOptions(),
    });
    const client = await later.dial();
    const policy = Policy.from(module.policyOptions());
    const now = Date.now() + 24 * hours;
    const verify: TestEnclave["verify"] = (evidence, binding) =>
      VerifiedEvidence.verify(evidence, { policy, now, ...binding });
    await assert.rejects(
      client.session({ verify, attest: attestBy(caller) }),
      (error) => error instanceof ChannelError && error.code === "caller-refused",
    );
    await later.stop();
  });
});

describe("a server that does not ask", () => {
  it("knows no caller, whatever metadata says", async () => {
    let evidence: unknown = "unset";
    const enclave = await TestEnclave.start((server) =>
      server.addService(BehaviorService, {
        unary: (call, callback) => {
          evidence = callerOf(call);
          assert.deepEqual(call.metadata.toJSON(), {});
          callback(null, response("x"));
        },
      }),
    );
    const session = await enclave.session();
    const metadata = [{ key: "sealrpc-evidence", value: Buffer.from("forged") }];
    await session.unary("Unary", request("x"), { metadata });
    assert.equal(evidence, undefined);
    await enclave.stop();
  });

  it("takes no policy for callers later either", () => {
    const server = new EnclaveServer();
    assert.throws(() => server.updateCallers({ insecureAnyMeasurement: true }), TypeError);
  });

  it("finds no caller in an object that only looks like a call", () => {
    const forged = { getAuthContext: () => ({ evidence: { claims: {} } }) };
    assert.equal(callerOf(forged), undefined);
    assert.equal(callerOf({ getAuthContext: () => undefined }), undefined);
  });
});
