import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ClientFinishedSchema } from "#gen/sealrpc/v1/attested_channel_pb.js";
import { AttestationError } from "../../attestation/errors.ts";
import type { EnclaveHandshake } from "../../channel/enclave-handshake.ts";
import { ChannelError } from "../../channel/errors.ts";
import {
  HelloBatcher,
  type BatchEvidenceRequest,
  type HelloBatcherOptions,
} from "../../channel/hello-batch.ts";
import { helloLeaf, merkleRoot } from "../../channel/merkle-tree.ts";
import type { CryptoBackend } from "../../crypto/backend.ts";
import { nodeBackend } from "../../crypto/node.ts";
import { isChannelError } from "../support/channel-error.ts";
import {
  clientHelloOf,
  helloReplyOf,
  ScriptedClient,
  serialize,
  TERMS,
} from "../support/handshake-peers.ts";
import { plainEvidence, readPlainEvidence } from "../support/plain-evidence.ts";

/** An attester that answers when it is told to. */
class SlowAttester {
  readonly requests: BatchEvidenceRequest[] = [];
  readonly #answers: { resolve: (evidence: Uint8Array) => void; reject: (e: unknown) => void }[] =
    [];

  readonly attest: HelloBatcherOptions["attest"] = (request) =>
    new Promise((resolve, reject) => {
      this.requests.push(request);
      this.#answers.push({ resolve, reject });
    });

  answer(evidence?: Uint8Array): void {
    const request = this.requests.at(-1) ?? assert.fail("nothing was asked");
    this.#answers.shift()?.resolve(evidence ?? plainEvidence(request));
  }

  fail(error: unknown): void {
    this.#answers.shift()?.reject(error);
  }
}

/** Counts key pairs, and those that still hold their private key. */
function countingBackend(): { backend: CryptoBackend; made: () => number; alive: () => number } {
  let made = 0;
  let alive = 0;
  const backend: CryptoBackend = {
    ...nodeBackend,
    x25519: () => {
      const keyPair = nodeBackend.x25519();
      made++;
      alive++;
      return {
        publicKey: keyPair.publicKey,
        diffieHellman: (peer) => keyPair.diffieHellman(peer),
        destroy: () => {
          alive--;
          keyPair.destroy();
        },
      };
    },
  };
  return { backend, made: () => made, alive: () => alive };
}

function createBatcher(
  attester: SlowAttester,
  options: Partial<HelloBatcherOptions> = {},
): HelloBatcher {
  return new HelloBatcher({
    backend: nodeBackend,
    suites: [1],
    attest: attester.attest,
    ...options,
  });
}

function clients(count: number): ScriptedClient[] {
  return Array.from({ length: count }, () => new ScriptedClient(nodeBackend));
}

/** Lets promises that can settle do so. */
async function settle(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

function rootOf(hello: Uint8Array, handshake: EnclaveHandshake): Uint8Array {
  const { path, leafIndex } = helloReplyOf(handshake.reply);
  return merkleRoot(nodeBackend, helloLeaf(nodeBackend, clientHelloOf(hello)), path, leafIndex);
}

function finish(client: ScriptedClient, handshake: EnclaveHandshake): void {
  const plaintext = serialize(ClientFinishedSchema, { initialCredit: 1 });
  handshake.receiveFinish(
    client.finish(handshake.reply, () => plaintext),
    TERMS,
  );
}

describe("a batcher of hellos", () => {
  it("answers one that comes alone at once, alone", async () => {
    const attester = new SlowAttester();
    const [client] = clients(1);
    const accepted = createBatcher(attester).accept(client!.hello());
    assert.equal(attester.requests.length, 1);
    attester.answer();
    const { path, leafIndex } = helloReplyOf((await accepted).reply);
    assert.deepEqual([path, leafIndex], [[], 0]);
  });

  it("answers all that came while the attester was busy with the next document", async () => {
    const attester = new SlowAttester();
    const { backend, made } = countingBackend();
    const batcher = createBatcher(attester, { backend });
    const hellos = clients(6).map((client) => client.hello());
    const accepted = hellos.map(async (hello) => batcher.accept(hello));
    attester.answer();
    await settle();
    assert.equal(attester.requests.length, 2);
    attester.answer();
    const handshakes = await Promise.all(accepted);
    assert.equal(attester.requests.length, 2);
    assert.equal(made(), 2);
    handshakes.forEach((handshake, i) => {
      const request = attester.requests[i === 0 ? 0 : 1]!;
      assert.deepEqual(rootOf(hellos[i]!, handshake), request.nonce);
      const { evidence, leafIndex } = helloReplyOf(handshake.reply);
      assert.deepEqual(readPlainEvidence(evidence).publicKey, request.publicKey);
      assert.equal(leafIndex, i === 0 ? 0 : i - 1);
    });
  });

  it("fills a batch up to its limit, oldest first", async () => {
    const attester = new SlowAttester();
    const batcher = createBatcher(attester, { maxBatchHellos: 2 });
    const accepted = clients(4).map(async (client) => batcher.accept(client.hello()));
    for (let i = 0; i < 3; i++) {
      attester.answer();
      await settle();
    }
    const replies = (await Promise.all(accepted)).map(({ reply }) => helloReplyOf(reply));
    assert.deepEqual(
      replies.map(({ path, leafIndex }) => [path.length, leafIndex]),
      [
        [0, 0],
        [1, 0],
        [1, 1],
        [0, 0],
      ],
    );
  });

  it("puts 1,024 into one batch, and no more", async () => {
    const attester = new SlowAttester();
    const batcher = createBatcher(attester);
    const [first] = clients(1);
    const accepted = [batcher.accept(first!.hello())];
    const hellos = clients(1024).map((client) => client.hello());
    accepted.push(...hellos.map(async (hello) => batcher.accept(hello)));
    attester.answer();
    await settle();
    attester.answer();
    const handshakes = await Promise.all(accepted);
    assert.equal(attester.requests.length, 2);
    const last = handshakes.at(-1)!;
    assert.equal(helloReplyOf(last.reply).path.length, 10);
    assert.deepEqual(rootOf(hellos.at(-1)!, last), attester.requests[1]!.nonce);
  });

  it("gives the same hello, twice in a batch, two handshakes that share no Finish", async () => {
    const attester = new SlowAttester();
    const batcher = createBatcher(attester);
    const [first, twin] = clients(2);
    const accepted = [first!, twin!, twin!].map(async (client) => batcher.accept(client.hello()));
    attester.answer();
    await settle();
    attester.answer();
    const [, a, b] = await Promise.all(accepted);
    const [replyA, replyB] = [a!, b!].map(({ reply }) => helloReplyOf(reply));
    assert.deepEqual(replyA!.evidence, replyB!.evidence);
    assert.notDeepEqual(replyA!.sessionId, replyB!.sessionId);
    const plaintext = serialize(ClientFinishedSchema, { initialCredit: 1 });
    const message = twin!.finish(a!.reply, () => plaintext);
    assert.throws(() => b!.receiveFinish(message, TERMS), isChannelError("authentication-failed"));
    assert.ok(a!.receiveFinish(message, TERMS).established !== undefined);
  });

  it("keeps a batch's key until the last of its handshakes is finished or has expired", async () => {
    const attester = new SlowAttester();
    const { backend, alive } = countingBackend();
    const batcher = createBatcher(attester, { backend });
    const all = clients(4);
    const accepted = all.map(async (client) => batcher.accept(client.hello()));
    attester.answer();
    await settle();
    attester.answer();
    const handshakes = await Promise.all(accepted);
    assert.equal(batcher.unfinished, 4);
    assert.equal(alive(), 2);
    finish(all[0]!, handshakes[0]!);
    assert.equal(alive(), 1);
    finish(all[1]!, handshakes[1]!);
    handshakes[2]!.expire();
    handshakes[2]!.expire();
    assert.equal(alive(), 1);
    assert.throws(() => handshakes[3]!.receiveFinish(new Uint8Array(0), TERMS), ChannelError);
    handshakes[3]!.expire();
    assert.equal(alive(), 0);
    assert.equal(batcher.unfinished, 0);
  });

  it("refuses a hello when its queue is full, and takes the next when there is room", async () => {
    const attester = new SlowAttester();
    const batcher = createBatcher(attester, { maxQueuedHellos: 2 });
    const accepted = clients(3).map(async (client) => batcher.accept(client.hello()));
    const [more] = clients(1);
    await assert.rejects(batcher.accept(more!.hello()), isChannelError("refused"));
    attester.answer();
    await settle();
    const later = batcher.accept(more!.hello());
    attester.answer();
    await settle();
    attester.answer();
    await Promise.all([...accepted, later]);
  });

  it("queues 1,024 unless told otherwise", async () => {
    const attester = new SlowAttester();
    const batcher = createBatcher(attester);
    const hello = clients(1)[0]!.hello();
    const accepted = Array.from({ length: 1025 }, async () => batcher.accept(hello));
    await assert.rejects(batcher.accept(hello), isChannelError("refused"));
    attester.answer();
    await settle();
    attester.answer();
    assert.equal((await Promise.all(accepted)).length, 1025);
  });

  it("refuses a hello while too many handshakes are unfinished", async () => {
    const attester = new SlowAttester();
    const batcher = createBatcher(attester, { maxUnfinished: 2 });
    const [a, b, c] = clients(3);
    const accepted = [batcher.accept(a!.hello()), batcher.accept(b!.hello())];
    await assert.rejects(batcher.accept(c!.hello()), isChannelError("refused"));
    attester.answer();
    await settle();
    attester.answer();
    const [handshake] = await Promise.all(accepted);
    await assert.rejects(batcher.accept(c!.hello()), isChannelError("refused"));
    handshake!.expire();
    const later = batcher.accept(c!.hello());
    attester.answer();
    await later;
  });

  it("has 4,096 unfinished handshakes unless told otherwise", async () => {
    const attest = (request: BatchEvidenceRequest): Promise<Uint8Array> =>
      Promise.resolve(plainEvidence(request));
    const batcher = createBatcher(new SlowAttester(), { attest });
    const hello = clients(1)[0]!.hello();
    for (let i = 0; i < 4; i++) {
      await Promise.all(Array.from({ length: 1024 }, async () => batcher.accept(hello)));
    }
    await assert.rejects(batcher.accept(hello), isChannelError("refused"));
    assert.equal(batcher.unfinished, 4096);
  });

  it("keeps its own copy of a hello that waits", async () => {
    const attester = new SlowAttester();
    const batcher = createBatcher(attester);
    const [first, second] = clients(2);
    const accepted = [batcher.accept(first!.hello())];
    const message = second!.hello();
    accepted.push(batcher.accept(message));
    message.fill(0);
    attester.answer();
    await settle();
    attester.answer();
    finish(second!, (await Promise.all(accepted))[1]!);
  });

  it("counts no hello that it refused", async () => {
    const batcher = createBatcher(new SlowAttester());
    await assert.rejects(batcher.accept(new Uint8Array(0)), ChannelError);
    assert.equal(batcher.unfinished, 0);
  });

  it("tells all of a batch why there is no evidence, and goes on with the next", async () => {
    const attester = new SlowAttester();
    const { backend, alive } = countingBackend();
    const batcher = createBatcher(attester, { backend });
    const [a, b] = clients(2).map(async (client) => batcher.accept(client.hello()));
    const failure = new AttestationError("nsm-unavailable", "as the test wants");
    attester.fail(failure);
    await assert.rejects(a!, failure);
    await settle();
    assert.equal(batcher.unfinished, 1);
    assert.equal(alive(), 1);
    attester.answer();
    (await b!).expire();
    assert.equal(alive(), 0);
  });

  for (const length of [0, 20_001]) {
    it(`sends no evidence of ${length} bytes`, async () => {
      const attester = new SlowAttester();
      const batcher = createBatcher(attester);
      const accepted = batcher.accept(clients(1)[0]!.hello());
      attester.answer(new Uint8Array(length));
      await assert.rejects(accepted, isChannelError("malformed-handshake"));
      assert.equal(batcher.unfinished, 0);
    });
  }

  it("survives an attester that throws instead of rejecting", async () => {
    const failure = new Error("as the test wants");
    const attest = (): never => {
      throw failure;
    };
    const batcher = createBatcher(new SlowAttester(), { attest });
    for (let i = 0; i < 2; i++) {
      await assert.rejects(batcher.accept(clients(1)[0]!.hello()), failure);
    }
  });

  it("begins with options that make sense", () => {
    const attester = new SlowAttester();
    assert.throws(() => createBatcher(attester, { suites: [] }), RangeError);
    assert.throws(() => createBatcher(attester, { appInfo: new Uint8Array(4096) }), RangeError);
    createBatcher(attester, { appInfo: new Uint8Array(4000) });
  });
});
