import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { ClientFinishedSchema, ConnectRequestSchema } from "#gen/sealrpc/v1/attested_channel_pb.js";
import { AttestationError } from "../../attestation/errors.ts";
import { ClientHandshake, type ClientHandshakeOptions } from "../../channel/client-handshake.ts";
import type { EnclaveHandshake, FinishAnswer } from "../../channel/enclave-handshake.ts";
import { ChannelError, type ChannelErrorCode } from "../../channel/errors.ts";
import type { EvidenceBinding } from "../../channel/evidence.ts";
import { HelloBatcher, type HelloBatcherOptions } from "../../channel/hello-batch.ts";
import { exportKey } from "../../channel/key-schedule.ts";
import { Opener, Sealer } from "../../channel/record.ts";
import { SUITE_IDS } from "../../channel/suite.ts";
import { nodeBackend } from "../../crypto/node.ts";
import { portableBackend } from "../../crypto/portable.ts";
import { isChannelError } from "../support/channel-error.ts";
import { ScriptedClient, serialize, TERMS } from "../support/handshake-peers.ts";
import {
  plainEvidence,
  readPlainEvidence,
  verifyPlainEvidence,
} from "../support/plain-evidence.ts";

const numRuns = Number(process.env.FUZZ_RUNS ?? 100);
const zeros = (length: number): Uint8Array => new Uint8Array(length);

function createBatcher(options: Partial<HelloBatcherOptions> = {}): HelloBatcher {
  return new HelloBatcher({
    backend: nodeBackend,
    suites: [1, 2],
    attest: (request) => Promise.resolve(plainEvidence(request)),
    ...options,
  });
}

function createClient(options: Partial<ClientHandshakeOptions> = {}): ClientHandshake {
  return new ClientHandshake({
    backend: nodeBackend,
    suites: [1, 2],
    verify: verifyPlainEvidence,
    initialCredit: 1000,
    attest: (userData, nonce) => Promise.resolve(plainEvidence({ userData, nonce })),
    ...options,
  });
}

/** A scripted client with its hello answered. */
async function answered(
  options: Partial<HelloBatcherOptions> = {},
): Promise<{ client: ScriptedClient; handshake: EnclaveHandshake; batcher: HelloBatcher }> {
  const batcher = createBatcher(options);
  const client = new ScriptedClient(nodeBackend);
  const handshake = await batcher.accept(client.hello());
  return { client, handshake, batcher };
}

const finished = (): Uint8Array => serialize(ClientFinishedSchema, { initialCredit: 1000 });

/** Runs both real halves to the end. */
async function run(
  batcher: HelloBatcher,
  client: ClientHandshake,
): Promise<{ answer: FinishAnswer; finish: () => ReturnType<ClientHandshake["receiveFinish"]> }> {
  const handshake = await batcher.accept(client.hello());
  const answer = handshake.receiveFinish(await client.receiveHello(handshake.reply), TERMS);
  return { answer, finish: () => client.receiveFinish(answer.reply) };
}

describe("a handshake", () => {
  for (const backend of [nodeBackend, portableBackend]) {
    for (const suite of SUITE_IDS) {
      it(`gives both sides the same secrets: suite ${suite}, ${backend.name}`, async () => {
        const batcher = createBatcher({ backend });
        const client = createClient({ backend, suites: [suite] });
        const { answer, finish } = await run(batcher, client);
        const ours = finish();
        const theirs = answer.established ?? assert.fail("refused");
        assert.equal(theirs.suite, suite);
        assert.equal(ours.suite, suite);
        assert.deepEqual(ours.sendSecret, theirs.receiveSecret);
        assert.deepEqual(ours.receiveSecret, theirs.sendSecret);
        assert.deepEqual(ours.exporterSecret, theirs.exporterSecret);
        const secrets = [ours.sendSecret, ours.receiveSecret, ours.exporterSecret];
        assert.equal(new Set(secrets.map((secret) => secret.join())).size, 3);
        assert.deepEqual(theirs.terms, TERMS);
        assert.equal(theirs.sendCredit, 1000);
        assert.equal(theirs.receiveCredit, TERMS.initialCredit);
        assert.equal(theirs.evidence, undefined);
        const label = Uint8Array.of(1);
        assert.deepEqual(
          exportKey(backend, ours.exporterSecret, label, zeros(3), 50),
          exportKey(backend, theirs.exporterSecret, label, zeros(3), 50),
        );
        const direction = { backend, suite, nowMs: 0, padding: "none" } as const;
        const sealer = new Sealer({ ...direction, secret: ours.sendSecret });
        const opener = new Opener({ ...direction, secret: theirs.receiveSecret });
        assert.equal(opener.open(sealer.seal("frames", label), 0).type, "frames");
      });
    }
  }

  it("leads to other secrets each time", async () => {
    const batcher = createBatcher();
    const [a, b] = [await run(batcher, createClient()), await run(batcher, createClient())];
    assert.notDeepEqual(a.finish().sendSecret, b.finish().sendSecret);
  });

  it("shows the application's bytes to the client, attested", async () => {
    const appInfo = Uint8Array.of(5, 6, 7);
    const batcher = createBatcher({ appInfo });
    const client = createClient();
    const handshake = await batcher.accept(client.hello());
    const at = Buffer.from(handshake.reply).indexOf(appInfo);
    assert.notEqual(at, -1);
    const changed = handshake.reply.slice();
    changed[at] = 9;
    await assert.rejects(client.receiveHello(changed), { code: "binding-mismatch" });
  });

  // The host's only influence: any byte of any message that it carries.
  it("fails at one side when any byte of any message is changed", async () => {
    const messages = ["hello", "reply", "finish", "finishReply"] as const;
    const change = fc.record({
      which: fc.constantFrom(...messages),
      at: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      flip: fc.integer({ min: 1, max: 255 }),
    });
    await fc.assert(
      fc.asyncProperty(change, async ({ which, at, flip }) => {
        const onWay = (name: (typeof messages)[number], message: Uint8Array): Uint8Array => {
          const copy = message.slice();
          if (name === which) copy[Math.floor(at * copy.length)]! ^= flip;
          return copy;
        };
        const client = createClient();
        const batcher = createBatcher();
        await assert.rejects(
          async () => {
            const handshake = await batcher.accept(onWay("hello", client.hello()));
            const finish = await client.receiveHello(onWay("reply", handshake.reply));
            const { reply } = handshake.receiveFinish(onWay("finish", finish), TERMS);
            client.receiveFinish(onWay("finishReply", reply));
          },
          (error) => error instanceof ChannelError || error instanceof AttestationError,
        );
      }),
      { numRuns },
    );
  });
});

describe("an enclave that receives Hello", () => {
  const hellos: readonly [string, ChannelErrorCode, ScriptedClient][] = [
    ["version 0", "unsupported-version", new ScriptedClient(nodeBackend, { version: 0 })],
    ["version 2", "unsupported-version", new ScriptedClient(nodeBackend, { version: 2 })],
    ["no random", "malformed-handshake", new ScriptedClient(nodeBackend, { random: zeros(0) })],
    [
      "a random of 31 bytes",
      "malformed-handshake",
      new ScriptedClient(nodeBackend, { random: zeros(31) }),
    ],
    [
      "a random of 33 bytes",
      "malformed-handshake",
      new ScriptedClient(nodeBackend, { random: zeros(33) }),
    ],
    ["nothing in it", "malformed-handshake", new ScriptedClient(nodeBackend, zeros(0))],
    ["no message in it", "malformed-handshake", new ScriptedClient(nodeBackend, Uint8Array.of(8))],
  ];
  for (const [name, code, client] of hellos) {
    it(`refuses one with ${name}: ${code}`, async () => {
      const attest = (): never => assert.fail("attested");
      await assert.rejects(createBatcher({ attest }).accept(client.hello()), isChannelError(code));
    });
  }

  /** A client_hello that is padded by an unknown field to this length. */
  function padded(length: number): ScriptedClient {
    const { clientHello } = new ScriptedClient(nodeBackend);
    const filler = length - clientHello.length - 4;
    const field = Uint8Array.of(0x9a, 0x06, (filler & 0x7f) | 0x80, filler >> 7);
    return new ScriptedClient(
      nodeBackend,
      Uint8Array.of(...clientHello, ...field, ...zeros(filler)),
    );
  }

  it("refuses one of 1,025 bytes, and hashes one of 1,024 as it came", async () => {
    await assert.rejects(
      createBatcher().accept(padded(1025).hello()),
      isChannelError("malformed-handshake"),
    );
    const client = padded(1024);
    const handshake = await createBatcher().accept(client.hello());
    const finish = client.finish(handshake.reply, finished);
    assert.ok(handshake.receiveFinish(finish, TERMS).established !== undefined);
  });

  it("refuses other messages in its place", async () => {
    const empty = zeros(0);
    for (const message of [
      empty,
      serialize(ConnectRequestSchema, { kind: { case: "record", value: zeros(32) } }),
      serialize(ConnectRequestSchema, { kind: { case: "finish", value: { suite: 1 } } }),
    ]) {
      await assert.rejects(createBatcher().accept(message), isChannelError("malformed-handshake"));
    }
  });

  it("throws nothing but ChannelError on any bytes", async () => {
    const message = fc
      .uint8Array({ maxLength: 120 })
      .map((body) => Uint8Array.of(0x0a, body.length + 2, 0x0a, body.length, ...body));
    await fc.assert(
      fc.asyncProperty(message, async (bytes) => {
        await assert.rejects(createBatcher().accept(bytes), ChannelError);
      }),
      { numRuns },
    );
  });
});

describe("an enclave that receives Finish", () => {
  const changed: readonly [string, ChannelErrorCode, Parameters<ScriptedClient["finish"]>[2]][] = [
    ["a suite that it did not offer", "no-common-suite", { suite: 2 }],
    ["a suite of later days", "no-common-suite", { suite: 3, enc: zeros(1120) }],
    ["suite 0", "no-common-suite", { suite: 0 }],
    ["no encapsulated key", "malformed-handshake", { enc: zeros(0) }],
    ["an encapsulated key of 31 bytes", "malformed-handshake", { enc: zeros(31) }],
    ["an encapsulated key of 33 bytes", "malformed-handshake", { enc: zeros(33) }],
    ["an encapsulated key that leads to no secret", "malformed-handshake", { enc: zeros(32) }],
    ["15 sealed bytes", "malformed-handshake", { sealed: zeros(15) }],
    ["21,505 sealed bytes", "malformed-handshake", { sealed: zeros(21_505) }],
    ["21,504 sealed bytes that do not open", "authentication-failed", { sealed: zeros(21_504) }],
    ["another encapsulated key", "authentication-failed", { enc: zeros(32).fill(9) }],
  ];
  for (const [name, code, change] of changed) {
    it(`refuses one with ${name}: ${code}`, async () => {
      const { client, handshake } = await answered({ suites: [1] });
      const finish = client.finish(handshake.reply, finished, change);
      assert.throws(() => handshake.receiveFinish(finish, TERMS), isChannelError(code));
    });
  }

  it("refuses a suite that was changed on the way: it is in the transcript", async () => {
    const { client, handshake } = await answered();
    const finish = client.finish(handshake.reply, finished, { suite: 2 });
    assert.throws(
      () => handshake.receiveFinish(finish, TERMS),
      isChannelError("authentication-failed"),
    );
  });

  const plaintexts: readonly [string, Uint8Array][] = [
    ["nothing in it", zeros(0)],
    ["no message in it", Uint8Array.of(0xff)],
    ["no credit", serialize(ClientFinishedSchema, { initialCredit: 0 })],
    ["a credit of 2^31", serialize(ClientFinishedSchema, { initialCredit: 2 ** 31 })],
    [
      "evidence that was not asked for",
      serialize(ClientFinishedSchema, { initialCredit: 1, evidence: zeros(1) }),
    ],
  ];
  for (const [name, plaintext] of plaintexts) {
    it(`refuses one with ${name}`, async () => {
      const { client, handshake } = await answered();
      const finish = client.finish(handshake.reply, () => plaintext);
      assert.throws(
        () => handshake.receiveFinish(finish, TERMS),
        isChannelError("malformed-handshake"),
      );
    });
  }

  it("refuses one that was made for another handshake of the same batch", async () => {
    const batcher = createBatcher();
    const client = new ScriptedClient(nodeBackend);
    const [, a, b] = await Promise.all(
      [new ScriptedClient(nodeBackend), client, client].map(async (one) =>
        batcher.accept(one.hello()),
      ),
    );
    const finish = client.finish(a!.reply, finished);
    assert.throws(() => b!.receiveFinish(finish, TERMS), isChannelError("authentication-failed"));
    assert.ok(a!.receiveFinish(finish, TERMS).established !== undefined);
  });

  it("takes one only, good or bad", async () => {
    for (const change of [{}, { enc: zeros(31) }]) {
      const { client, handshake } = await answered();
      const { reply } = handshake;
      const finish = client.finish(reply, finished, change);
      if ("enc" in change) {
        assert.throws(() => handshake.receiveFinish(finish, TERMS), ChannelError);
      } else {
        handshake.receiveFinish(finish, TERMS);
      }
      const second = client.finish(reply, finished);
      assert.throws(
        () => handshake.receiveFinish(second, TERMS),
        isChannelError("malformed-handshake"),
      );
      assert.throws(() => handshake.reply, isChannelError("malformed-handshake"));
    }
  });

  it("takes none once it has expired", async () => {
    const { client, handshake } = await answered();
    const finish = client.finish(handshake.reply, finished);
    handshake.expire();
    assert.throws(
      () => handshake.receiveFinish(finish, TERMS),
      isChannelError("malformed-handshake"),
    );
  });

  it("announces no terms that a client would not take", async () => {
    for (const name of Object.keys(TERMS)) {
      for (const value of [0, -1, 1.5, 2 ** 32]) {
        const { client, handshake } = await answered();
        const finish = client.finish(handshake.reply, finished);
        const terms = { ...TERMS, [name]: value };
        assert.throws(() => handshake.receiveFinish(finish, terms), RangeError);
      }
    }
    for (const terms of [
      { ...TERMS, maxAgeMs: 10_800_001 },
      { ...TERMS, maxIdleMs: 600_001 },
      { ...TERMS, initialCredit: 2 ** 31 },
    ]) {
      const { handshake } = await answered();
      assert.throws(() => handshake.receiveFinish(zeros(0), terms), RangeError);
    }
  });

  it("throws nothing but ChannelError on any bytes", async () => {
    const message = fc
      .tuple(fc.constantFrom(0x0a, 0x12, 0x1a), fc.uint8Array({ maxLength: 120 }))
      .map(([tag, body]) => Uint8Array.of(tag, body.length, ...body));
    await fc.assert(
      fc.asyncProperty(message, async (bytes) => {
        const { handshake } = await answered();
        assert.throws(() => handshake.receiveFinish(bytes, TERMS), ChannelError);
      }),
      { numRuns },
    );
  });
});

describe("an enclave that asks its callers for evidence", () => {
  const verifyCaller = verifyPlainEvidence;

  it("gives it to the session, verified for th2 and the client's label", async () => {
    const seen: EvidenceBinding[] = [];
    const batcher = createBatcher({
      verifyCaller: (evidence, binding) => {
        seen.push(binding);
        return verifyPlainEvidence(evidence, binding);
      },
    });
    const { answer, finish } = await run(batcher, createClient());
    finish();
    const [binding = assert.fail()] = seen;
    assert.deepEqual(answer.established?.evidence?.challenge, binding.challenge);
    assert.equal(new TextDecoder().decode(binding.userData), "sealrpc1 client attestation\0");
    assert.equal(binding.publicKeyBytes, 0);
  });

  it("tells a refused client so, sealed, and opens no session", async () => {
    const refusal = new AttestationError("measurement-mismatch", "as the test wants");
    const batcher = createBatcher({
      verifyCaller: () => {
        throw refusal;
      },
    });
    const { answer, finish } = await run(batcher, createClient());
    assert.equal(answer.established, undefined);
    assert.equal(answer.refusal, refusal);
    assert.throws(finish, isChannelError("caller-refused"));
    assert.equal(batcher.unfinished, 0);
  });

  it("refuses no evidence, and 20,001 bytes of it, as malformed", async () => {
    for (const evidence of [zeros(0), zeros(20_001)]) {
      const { client, handshake } = await answered({ verifyCaller });
      const plaintext = serialize(ClientFinishedSchema, { initialCredit: 1, evidence });
      const finish = client.finish(handshake.reply, () => plaintext);
      assert.throws(
        () => handshake.receiveFinish(finish, TERMS),
        isChannelError("malformed-handshake"),
      );
    }
  });

  const label = new TextEncoder().encode("sealrpc1 client attestation\0");
  const unbound: readonly [string, (th2: Uint8Array) => Uint8Array][] = [
    ["another challenge", () => plainEvidence({ userData: label, nonce: zeros(32) })],
    ["another label", (nonce) => plainEvidence({ userData: label.subarray(1), nonce })],
    [
      "the enclave's label",
      (nonce) =>
        plainEvidence({
          userData: new TextEncoder().encode("sealrpc1 server attestation\0"),
          nonce,
        }),
    ],
    ["a public key", (nonce) => plainEvidence({ userData: label, nonce, publicKey: zeros(32) })],
  ];
  for (const [name, make] of unbound) {
    it(`refuses evidence with ${name}, also when its verifier does not`, async () => {
      for (const lax of [verifyCaller, readPlainEvidence]) {
        const { client, handshake } = await answered({ verifyCaller: lax });
        const finish = client.finish(handshake.reply, (th2) =>
          serialize(ClientFinishedSchema, { initialCredit: 1, evidence: make(th2) }),
        );
        const { established, refusal } = handshake.receiveFinish(finish, TERMS);
        assert.equal(established, undefined);
        assert.ok(refusal instanceof Error);
      }
    });
  }
});
