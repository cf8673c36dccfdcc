/** The handshake with documents of the simulator, through the real verifier. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Simulator } from "../../attestation/nsm/simulator.ts";
import { Policy } from "../../attestation/policy.ts";
import { VerifiedEvidence } from "../../attestation/verified-evidence.ts";
import { ClientHandshake } from "../../channel/client-handshake.ts";
import type { EnclaveHandshake } from "../../channel/enclave-handshake.ts";
import type { VerifyEvidence } from "../../channel/evidence.ts";
import { HelloBatcher, type HelloBatcherOptions } from "../../channel/hello-batch.ts";
import { nodeBackend as backend } from "../../crypto/node.ts";
import { isChannelError } from "../support/channel-error.ts";
import { helloReply, helloReplyOf, TERMS } from "../support/handshake-peers.ts";

const enclaveModule = await Simulator.create();
const clientModule = await Simulator.create();

function verifierFor(simulator: Simulator): VerifyEvidence {
  const policy = Policy.from(simulator.policyOptions());
  return (evidence, { challenge, userData }) =>
    VerifiedEvidence.verify(evidence, { policy, challenge, userData, backend });
}

function createBatcher(options: Partial<HelloBatcherOptions> = {}): HelloBatcher {
  const attest = enclaveModule.attest.bind(enclaveModule);
  return new HelloBatcher({ backend, suites: [1], attest, ...options });
}

function createClient(simulator = clientModule): ClientHandshake {
  return new ClientHandshake({
    backend,
    suites: [1],
    verify: verifierFor(enclaveModule),
    initialCredit: 1000,
    attest: (userData, nonce) => simulator.attest({ userData, nonce }),
  });
}

/** Begins several handshakes at once: the first alone in its batch, the others together. */
async function begin(
  batcher: HelloBatcher,
  clients: readonly ClientHandshake[],
): Promise<EnclaveHandshake[]> {
  return Promise.all(clients.map(async (client) => batcher.accept(client.hello())));
}

describe("a handshake with verified evidence", () => {
  it("is made by a lone client and by several of one document", async () => {
    const clients = [createClient(), createClient(), createClient(), createClient()];
    const handshakes = await begin(createBatcher(), clients);
    assert.equal(helloReplyOf(handshakes[3]!.reply).path.length, 2);
    for (const [i, client] of clients.entries()) {
      const finish = await client.receiveHello(handshakes[i]!.reply);
      const { reply, established } = handshakes[i]!.receiveFinish(finish, TERMS);
      const { sendSecret, evidence } = client.receiveFinish(reply);
      assert.deepEqual(established?.receiveSecret, sendSecret);
      assert.equal(evidence?.claims.moduleId, enclaveModule.moduleId);
    }
  });

  it("shows the enclave who called, where it asks", async () => {
    const client = createClient();
    const batcher = createBatcher({ verifyCaller: verifierFor(clientModule) });
    const [handshake] = await begin(batcher, [client]);
    const finish = await client.receiveHello(handshake!.reply);
    const { established } = handshake!.receiveFinish(finish, TERMS);
    assert.equal(established?.evidence?.claims.moduleId, clientModule.moduleId);
  });

  it("is refused to a caller whose evidence the enclave does not admit", async () => {
    const client = createClient(enclaveModule);
    const batcher = createBatcher({ verifyCaller: verifierFor(clientModule) });
    const [handshake] = await begin(batcher, [client]);
    const finish = await client.receiveHello(handshake!.reply);
    const { reply, established, refusal } = handshake!.receiveFinish(finish, TERMS);
    assert.equal(established, undefined);
    assert.equal((refusal as { code?: string }).code, "untrusted-chain");
    assert.throws(() => client.receiveFinish(reply), isChannelError("caller-refused"));
  });

  it("takes no document of another handshake", async () => {
    const [a, b] = [createClient(), createClient()];
    const [, other] = await begin(createBatcher(), [a, b]);
    await assert.rejects(a.receiveHello(other!.reply), { code: "challenge-mismatch" });
  });

  it("takes no other parameters than the document covers", async () => {
    const client = createClient();
    const [handshake] = await begin(createBatcher(), [client]);
    const reply = helloReplyOf(handshake!.reply);
    const enclaveParams = Uint8Array.of(...reply.enclaveParams, 0x2a, 1, 0);
    await assert.rejects(client.receiveHello(helloReply({ ...reply, enclaveParams })), {
      code: "binding-mismatch",
    });
  });

  it("takes no document of another root", async () => {
    const client = createClient();
    const attest = clientModule.attest.bind(clientModule);
    const [handshake] = await begin(createBatcher({ attest }), [client]);
    await assert.rejects(client.receiveHello(handshake!.reply), { code: "untrusted-chain" });
  });

  it("takes no caller's document for an enclave's", async () => {
    const client = createClient();
    const batcher = createBatcher({
      attest: ({ publicKey, nonce }) =>
        enclaveModule.attest({
          publicKey,
          nonce,
          userData: new TextEncoder().encode("sealrpc1 client attestation\0"),
        }),
    });
    const [handshake] = await begin(batcher, [client]);
    await assert.rejects(client.receiveHello(handshake!.reply), { code: "binding-mismatch" });
  });
});
