import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  ClientFinishedSchema,
  ConnectResponseSchema,
  ServerFinishedSchema,
} from "#gen/sealrpc/v1/attested_channel_pb.js";
import { fromBinary } from "@bufbuild/protobuf";
import { AttestationError } from "../../attestation/errors.ts";
import { ClientHandshake, type ClientHandshakeOptions } from "../../channel/client-handshake.ts";
import { ChannelError, type ChannelErrorCode } from "../../channel/errors.ts";
import type { EvidenceBinding } from "../../channel/evidence.ts";
import { nodeBackend } from "../../crypto/node.ts";
import { isChannelError } from "../support/channel-error.ts";
import {
  clientHelloOf,
  finishOf,
  finishReply,
  helloReply,
  type ReplyChange,
  ScriptedEnclave,
  serialize,
  TERMS,
} from "../support/handshake-peers.ts";
import {
  plainEvidence,
  readPlainEvidence,
  verifyPlainEvidence,
} from "../support/plain-evidence.ts";

const numRuns = Number(process.env.FUZZ_RUNS ?? 100);
const backend = nodeBackend;
const good = serialize(ServerFinishedSchema, TERMS);

function createClient(options: Partial<ClientHandshakeOptions> = {}): ClientHandshake {
  return new ClientHandshake({
    backend,
    suites: [1, 2],
    verify: verifyPlainEvidence,
    initialCredit: 1000,
    ...options,
  });
}

type ReplyArguments =
  Parameters<ScriptedEnclave["reply"]> extends [Uint8Array, ...infer Rest] ? Rest : never;

/** Runs a client up to its Finish against an enclave that replies as told. */
async function upToFinish(
  options: Partial<ClientHandshakeOptions>,
  ...reply: ReplyArguments
): Promise<{ client: ClientHandshake; enclave: ScriptedEnclave; finish: Uint8Array }> {
  const client = createClient(options);
  const enclave = new ScriptedEnclave(backend);
  const finish = await client.receiveHello(enclave.reply(client.hello(), ...reply));
  return { client, enclave, finish };
}

describe("a client's Hello", () => {
  it("carries version 1 and a fresh random", () => {
    const hellos = [createClient(), createClient()].map((client) => clientHelloOf(client.hello()));
    for (const hello of hellos) {
      assert.deepEqual(hello.subarray(0, 4), Uint8Array.of(0x08, 1, 0x12, 32));
      assert.equal(hello.length, 36);
    }
    assert.notDeepEqual(hellos[0], hellos[1]);
  });
});

describe("a client that receives HelloReply", () => {
  const zeros = (length: number): Uint8Array => new Uint8Array(length);
  const path = (entries: number): Uint8Array[] => Array.from({ length: entries }, () => zeros(32));

  const malformed: readonly [string, ReplyChange][] = [
    ["enclave_params of 4,097 bytes", { enclaveParams: zeros(4097) }],
    ["no evidence", { evidence: zeros(0) }],
    ["evidence of 20,001 bytes", { evidence: zeros(20_001) }],
    ["a session_id of 15 bytes", { sessionId: zeros(15) }],
    ["a session_id of 17 bytes", { sessionId: zeros(17) }],
    ["a path of 17 entries", { path: path(17) }],
    ["a path entry of 31 bytes", { path: [zeros(31)] }],
    ["a path entry of 33 bytes", { path: [zeros(33)] }],
    ["a leaf_index of 1 without a path", { leafIndex: 1 }],
    ["a leaf_index of 4 with two entries", { path: path(2), leafIndex: 4 }],
    ["evidence of a format that is not Nitro's", { format: 1 }],
  ];
  for (const [name, change] of malformed) {
    it(`refuses ${name} before it verifies anything`, async () => {
      const verify = (): never => assert.fail("verified");
      await assert.rejects(
        upToFinish({ verify }, {}, change),
        isChannelError("malformed-handshake"),
      );
    });
  }

  const wellFormed: readonly [string, ReplyChange][] = [
    ["evidence of 20,000 bytes", { evidence: zeros(20_000) }],
    ["enclave_params of 4,096 bytes", { enclaveParams: zeros(4096) }],
    ["a path of 16 entries", { path: path(16), leafIndex: 65_535 }],
  ];
  for (const [name, change] of wellFormed) {
    it(`has ${name} verified`, async () => {
      const refusal = new AttestationError("bad-signature", "as the test wants");
      const verify = (): never => {
        throw refusal;
      };
      await assert.rejects(upToFinish({ verify }, {}, change), refusal);
    });
  }

  it("takes its place in a batch from the path", async () => {
    const siblings = [1, 2, 3].map((fill) => zeros(32).fill(fill));
    for (const leafIndex of [0, 3, 5, 7]) await upToFinish({}, {}, { path: siblings, leafIndex });
  });

  it("has the evidence verified with the root, the parameters' hash and a key's length", async () => {
    const seen: [Uint8Array, EvidenceBinding][] = [];
    const verify: ClientHandshakeOptions["verify"] = (evidence, binding) => {
      seen.push([evidence, binding]);
      return verifyPlainEvidence(evidence, binding);
    };
    await upToFinish({ verify });
    const [[evidence, binding] = assert.fail()] = seen;
    const { challenge, userData } = readPlainEvidence(evidence);
    assert.deepEqual(binding, { challenge, userData, publicKeyBytes: 32 });
  });

  it("lets an error of the verifier through unchanged, and is over", async () => {
    const client = createClient();
    const other = createClient();
    const reply = new ScriptedEnclave(backend).reply(other.hello());
    client.hello();
    await assert.rejects(client.receiveHello(reply), { code: "challenge-mismatch" });
    await assert.rejects(client.receiveHello(reply), isChannelError("malformed-handshake"));
  });

  it("takes no parameters but the attested ones", async () => {
    const enclaveParams = Uint8Array.of(0x08, 1, 0x10, 1);
    await assert.rejects(upToFinish({}, {}, { enclaveParams }), { code: "binding-mismatch" });
  });

  for (const length of [0, 31, 33]) {
    it(`takes no public key of ${length} bytes`, async () => {
      const publicKey = new Uint8Array(length).fill(9);
      await assert.rejects(upToFinish({}, {}, {}, publicKey), { code: "binding-mismatch" });
    });
  }

  describe("does not rely on the verifier", () => {
    const verify = readPlainEvidence;
    it("for the challenge", async () => {
      const client = createClient({ verify });
      client.hello();
      const reply = new ScriptedEnclave(backend).reply(createClient().hello());
      await assert.rejects(client.receiveHello(reply), isChannelError("malformed-handshake"));
    });

    it("for the user data", async () => {
      const enclaveParams = Uint8Array.of(0x08, 1, 0x10, 1);
      await assert.rejects(
        upToFinish({ verify }, {}, { enclaveParams }),
        isChannelError("malformed-handshake"),
      );
    });

    it("for the whole of both", async () => {
      for (const cut of [0, 1]) {
        const client = createClient({
          verify: (evidence, binding) => {
            const { challenge, userData, publicKey } = verifyPlainEvidence(evidence, binding);
            const values = {
              nonce: challenge!.subarray(0, 32 - cut),
              userData: userData!.subarray(0, 59 + cut),
              publicKey: publicKey!,
            };
            return readPlainEvidence(plainEvidence(values));
          },
        });
        const reply = new ScriptedEnclave(backend).reply(client.hello());
        await assert.rejects(client.receiveHello(reply), isChannelError("malformed-handshake"));
      }
    });

    it("for the length of the public key", async () => {
      await assert.rejects(
        upToFinish({ verify }, {}, {}, zeros(31)),
        isChannelError("malformed-handshake"),
      );
    });
  });

  const negotiation: readonly [
    string,
    ChannelErrorCode,
    ReplyArguments[0],
    Partial<ClientHandshakeOptions>?,
  ][] = [
    ["parameters that do not parse", "malformed-handshake", Uint8Array.of(0x08)],
    ["no version", "unsupported-version", { versions: [] }],
    ["version 2 alone", "unsupported-version", { versions: [2] }],
    [
      "a later version that it speaks too",
      "unsupported-version",
      { versions: [1, 2] },
      { versions: [1, 2] },
    ],
    ["no suite", "no-common-suite", { suites: [] }],
    ["suites that it does not speak", "no-common-suite", { suites: [7], mlkem768Ek: zeros(0) }],
    ["suites that it does not want", "no-common-suite", { suites: [1] }, { suites: [2] }],
    ["an ML-KEM key without a suite for it", "malformed-handshake", { mlkem768Ek: zeros(1184) }],
    ["a suite of ML-KEM without a key", "malformed-handshake", { suites: [1, 3] }],
    [
      "an ML-KEM key of another length",
      "malformed-handshake",
      { suites: [1, 4], mlkem768Ek: zeros(1183) },
    ],
    ["a demand for evidence", "caller-refused", { clientAttestation: true }],
  ];
  for (const [name, code, params, options = {}] of negotiation) {
    it(`refuses ${name}: ${code}`, async () => {
      await assert.rejects(upToFinish(options, params), isChannelError(code));
    });
  }

  it("ignores a later version that it does not speak", async () => {
    await upToFinish({}, { versions: [1, 2] });
  });

  it("offers no secret to a public key that leads to none", async () => {
    await assert.rejects(upToFinish({}, {}, {}, zeros(32)), isChannelError("malformed-handshake"));
  });

  it("takes the first of its own suites that is offered", async () => {
    const ek = { mlkem768Ek: zeros(1184) };
    for (const [own, offered, chosen] of [
      [[1, 2], [2, 1], 1],
      [[2, 1], [1, 2], 2],
      [[1, 2], [2], 2],
      [[2, 1], [9, 4, 1], 1],
    ] as const) {
      const params = { suites: [...offered], ...(offered.includes(4 as never) ? ek : {}) };
      const { finish } = await upToFinish({ suites: own }, params);
      assert.equal(finishOf(finish).suite, chosen);
    }
  });

  it("refuses other messages in its place", async () => {
    for (const message of [
      finishReply(zeros(32)),
      serialize(ConnectResponseSchema, { kind: { case: "record", value: zeros(32) } }),
      helloReply({}),
      zeros(0),
    ]) {
      const client = createClient();
      client.hello();
      await assert.rejects(client.receiveHello(message), isChannelError("malformed-handshake"));
    }
  });

  it("throws nothing but ChannelError on any bytes", async () => {
    const message = fc
      .tuple(fc.constantFrom(0x0a, 0x12, 0x1a), fc.uint8Array({ maxLength: 120 }))
      .map(([tag, body]) => Uint8Array.of(tag, body.length, ...body));
    await fc.assert(
      fc.asyncProperty(message, async (bytes) => {
        const client = createClient();
        client.hello();
        await assert.rejects(client.receiveHello(bytes), ChannelError);
      }),
      { numRuns },
    );
  });
});

describe("a client that must show evidence", () => {
  const attest: ClientHandshakeOptions["attest"] = (userData, nonce) =>
    Promise.resolve(plainEvidence({ userData, nonce }));
  const demand = { clientAttestation: true };

  it("seals it, made for th2 and with its label", async () => {
    const { enclave, finish } = await upToFinish({ attest }, demand);
    const { opened } = enclave.finish(finish, good);
    const { evidence, initialCredit } = fromBinary(ClientFinishedSchema, opened);
    assert.equal(initialCredit, 1000);
    const { userData, challenge } = readPlainEvidence(evidence);
    assert.equal(new TextDecoder().decode(userData), "sealrpc1 client attestation\0");
    assert.equal(challenge?.length, 32);
  });

  it("makes none that was not asked for", async () => {
    const { enclave, finish } = await upToFinish({ attest: () => assert.fail("asked") });
    const { opened } = enclave.finish(finish, good);
    assert.equal(fromBinary(ClientFinishedSchema, opened).evidence.length, 0);
  });

  it("passes on why it could not be made", async () => {
    const failure = new AttestationError("nsm-unavailable", "as the test wants");
    const failing = upToFinish({ attest: () => Promise.reject(failure) }, demand);
    await assert.rejects(failing, failure);
  });

  for (const length of [0, 20_001]) {
    it(`sends none of ${length} bytes`, async () => {
      const odd = (): Promise<Uint8Array> => Promise.resolve(new Uint8Array(length));
      await assert.rejects(
        upToFinish({ attest: odd }, demand),
        isChannelError("malformed-handshake"),
      );
    });
  }

  it("is over when it is destroyed meanwhile", async () => {
    const client = createClient({
      attest: (userData, nonce) => {
        client.destroy();
        return Promise.resolve(plainEvidence({ userData, nonce }));
      },
    });
    const reply = new ScriptedEnclave(backend).reply(client.hello(), demand);
    await assert.rejects(client.receiveHello(reply), isChannelError("malformed-handshake"));
  });
});

describe("a client that receives FinishReply", () => {
  it("has a session on the enclave's terms", async () => {
    const { client, enclave, finish } = await upToFinish({ initialCredit: 77 });
    const established = client.receiveFinish(enclave.finish(finish, good).reply);
    assert.deepEqual(established.terms, TERMS);
    assert.equal(established.suite, 1);
    assert.equal(established.sendCredit, TERMS.initialCredit);
    assert.equal(established.receiveCredit, 77);
    assert.ok(established.evidence?.publicKey !== undefined);
    assert.notDeepEqual(established.sendSecret, established.receiveSecret);
  });

  it("uses no more of the terms than it may", async () => {
    const { client, enclave, finish } = await upToFinish({});
    const terms = { ...TERMS, maxAgeMs: 2 ** 32 - 1, maxIdleMs: 600_001 };
    const plaintext = serialize(ServerFinishedSchema, terms);
    const established = client.receiveFinish(enclave.finish(finish, plaintext).reply);
    assert.equal(established.terms.maxAgeMs, 10_800_000);
    assert.equal(established.terms.maxIdleMs, 600_000);
  });

  const wrong: readonly [string, ChannelErrorCode, Uint8Array][] = [
    ["nothing in it", "malformed-handshake", new Uint8Array(0)],
    ["no message in it", "malformed-handshake", Uint8Array.of(0xff)],
    ["a refusal", "caller-refused", serialize(ServerFinishedSchema, { refused: 7 })],
    [
      "a refusal and terms",
      "caller-refused",
      serialize(ServerFinishedSchema, { ...TERMS, refused: 1 }),
    ],
    [
      "a credit beyond 2^31 - 1",
      "malformed-handshake",
      serialize(ServerFinishedSchema, { ...TERMS, initialCredit: 2 ** 31 }),
    ],
    ...Object.keys(TERMS).map((name): [string, ChannelErrorCode, Uint8Array] => [
      `0 for ${name}`,
      "malformed-handshake",
      serialize(ServerFinishedSchema, { ...TERMS, [name]: 0 }),
    ]),
  ];
  for (const [name, code, plaintext] of wrong) {
    it(`refuses one with ${name}: ${code}`, async () => {
      const { client, enclave, finish } = await upToFinish({});
      const { reply } = enclave.finish(finish, plaintext);
      assert.throws(() => client.receiveFinish(reply), isChannelError(code));
    });
  }

  it("refuses one that does not open, at any bit", async () => {
    const { client, enclave, finish } = await upToFinish({});
    const { reply } = enclave.finish(finish, good);
    reply[reply.length - 1]! ^= 1;
    assert.throws(() => client.receiveFinish(reply), isChannelError("authentication-failed"));
  });

  it("refuses one that was made for another handshake", async () => {
    const [first, second] = [await upToFinish({}), await upToFinish({})];
    const { reply } = second.enclave.finish(second.finish, good);
    assert.throws(() => first.client.receiveFinish(reply), isChannelError("authentication-failed"));
  });

  for (const length of [0, 15, 1025]) {
    it(`refuses one of ${length} sealed bytes`, async () => {
      const { client } = await upToFinish({});
      const reply = finishReply(new Uint8Array(length));
      assert.throws(() => client.receiveFinish(reply), isChannelError("malformed-handshake"));
    });
  }

  it("takes no second one", async () => {
    const { client, enclave, finish } = await upToFinish({});
    const { reply } = enclave.finish(finish, good);
    client.receiveFinish(reply);
    assert.throws(() => client.receiveFinish(reply), isChannelError("malformed-handshake"));
  });
});

describe("a client's order", () => {
  it("begins with its own hello", async () => {
    await assert.rejects(
      createClient().receiveHello(new Uint8Array(0)),
      isChannelError("malformed-handshake"),
    );
    assert.throws(
      () => createClient().receiveFinish(finishReply(new Uint8Array(40))),
      isChannelError("malformed-handshake"),
    );
  });

  it("has one hello", () => {
    const client = createClient();
    client.hello();
    assert.throws(() => client.hello(), isChannelError("malformed-handshake"));
  });

  it("has one HelloReply", async () => {
    const { client, enclave, finish } = await upToFinish({});
    const second = helloReply({});
    await assert.rejects(client.receiveHello(second), isChannelError("malformed-handshake"));
    const { reply } = enclave.finish(finish, good);
    assert.throws(() => client.receiveFinish(reply), isChannelError("malformed-handshake"));
  });

  it("ends when it is destroyed", async () => {
    const { client, enclave, finish } = await upToFinish({});
    client.destroy();
    const { reply } = enclave.finish(finish, good);
    assert.throws(() => client.receiveFinish(reply), isChannelError("malformed-handshake"));
  });

  it("begins with options that make sense", () => {
    assert.throws(() => createClient({ suites: [] }), RangeError);
    for (const initialCredit of [0, -1, 1.5, 2 ** 31, Number.NaN]) {
      assert.throws(() => createClient({ initialCredit }), RangeError);
    }
  });
});
