/**
 * Peers of a handshake that a test can make misbehave: each follows docs/protocol.md §4 with the
 * channel's own pieces, except where it is told otherwise.
 */
import {
  create,
  fromBinary,
  toBinary,
  type DescMessage,
  type MessageInitShape,
} from "@bufbuild/protobuf";
import {
  ClientHelloSchema,
  ConnectRequestSchema,
  ConnectResponseSchema,
  EnclaveParamsSchema,
  HelloReplySchema,
  type Finish,
  type HelloReply,
} from "#gen/sealrpc/v1/attested_channel_pb.js";
import type { SessionTerms } from "../../channel/established.ts";
import { openFinished, sealFinished } from "../../channel/finished.ts";
import { decapsulate, encapsulate, HpkeContext } from "../../channel/hpke.ts";
import { handshakeKey } from "../../channel/key-schedule.ts";
import { helloLeaf, merkleRoot } from "../../channel/merkle-tree.ts";
import { suiteOf, type SuiteId } from "../../channel/suite.ts";
import {
  enclaveUserData,
  hpkeInfo,
  transcript1,
  transcript2,
  transcript3,
} from "../../channel/transcript.ts";
import type { CryptoBackend, X25519KeyPair } from "../../crypto/backend.ts";
import { plainEvidence, readPlainEvidence } from "./plain-evidence.ts";

export const TERMS: SessionTerms = {
  maxAgeMs: 3_600_000,
  maxIdleMs: 600_000,
  maxConcurrentCalls: 1024,
  maxDelayMs: 30_000,
  initialCredit: 262_144,
};

export function serialize<Desc extends DescMessage>(
  schema: Desc,
  init: MessageInitShape<Desc>,
): Uint8Array {
  return toBinary(schema, create(schema, init));
}

/** The bytes of client_hello in a ConnectRequest{hello}. */
export function clientHelloOf(hello: Uint8Array): Uint8Array {
  const { kind } = fromBinary(ConnectRequestSchema, hello);
  if (kind.case !== "hello") throw new Error("no hello");
  return kind.value.clientHello;
}

/** What a ConnectResponse{hello} holds. */
export function helloReplyOf(reply: Uint8Array): HelloReply {
  const { kind } = fromBinary(ConnectResponseSchema, reply);
  if (kind.case !== "hello") throw new Error("no reply to a hello");
  return kind.value;
}

/** What a ConnectRequest{finish} holds. */
export function finishOf(message: Uint8Array): Finish {
  const { kind } = fromBinary(ConnectRequestSchema, message);
  if (kind.case !== "finish") throw new Error("no finish");
  return kind.value;
}

export function helloReply(value: MessageInitShape<typeof HelloReplySchema>): Uint8Array {
  return serialize(ConnectResponseSchema, { kind: { case: "hello", value } });
}

export function finishReply(sealed: Uint8Array): Uint8Array {
  return serialize(ConnectResponseSchema, { kind: { case: "finish", value: { sealed } } });
}

/** What a test may change in a HelloReply on its way. */
export type ReplyChange = Partial<
  Pick<HelloReply, "enclaveParams" | "evidence" | "sessionId" | "path" | "leafIndex" | "format">
>;

/** An enclave that says what it is told to say. */
export class ScriptedEnclave {
  readonly #backend: CryptoBackend;
  readonly #keyPair: X25519KeyPair;
  #reply: HelloReply | undefined;
  #clientHello: Uint8Array = new Uint8Array(0);

  constructor(backend: CryptoBackend) {
    this.#backend = backend;
    this.#keyPair = backend.x25519();
  }

  /**
   * Answers a hello with these parameters, attested; `change` edits the reply on its way. A path in
   * it is one that the evidence covers.
   */
  reply(
    hello: Uint8Array,
    params: MessageInitShape<typeof EnclaveParamsSchema> | Uint8Array = {},
    change: ReplyChange = {},
    publicKey: Uint8Array = this.#keyPair.publicKey,
  ): Uint8Array {
    this.#clientHello = clientHelloOf(hello);
    const enclaveParams =
      params instanceof Uint8Array
        ? params
        : serialize(EnclaveParamsSchema, { versions: [1], suites: [1, 2], ...params });
    const { path = [], leafIndex = 0 } = change;
    const leaf = helloLeaf(this.#backend, this.#clientHello);
    const evidence = plainEvidence({
      nonce: merkleRoot(this.#backend, leaf, path, leafIndex),
      userData: enclaveUserData(this.#backend, enclaveParams),
      publicKey,
    });
    const sessionId = this.#backend.randomBytes(16);
    this.#reply = create(HelloReplySchema, { enclaveParams, evidence, sessionId, ...change });
    return helloReply(this.#reply);
  }

  /** Opens a Finish and confirms it with this plaintext. */
  finish(message: Uint8Array, plaintext: Uint8Array): { opened: Uint8Array; reply: Uint8Array } {
    const { enc, sealed, suite: id } = finishOf(message);
    if (this.#reply === undefined) throw new Error("no reply was made");
    const suite = id as SuiteId;
    const th1 = transcript1(this.#backend, { ...this.#reply, clientHello: this.#clientHello });
    const secret = decapsulate(this.#backend, suiteOf(suite), this.#keyPair, enc);
    const hpke = new HpkeContext(this.#backend, suiteOf(suite), secret, hpkeInfo(suite, th1));
    const th2 = transcript2(this.#backend, th1, suite, enc);
    const opened = openFinished(handshakeKey(this.#backend, suite, hpke, "c2s", th2), th2, sealed);
    const th3 = transcript3(this.#backend, th2, sealed);
    const key = handshakeKey(this.#backend, suite, hpke, "s2c", th2);
    return { opened, reply: finishReply(sealFinished(key, th3, plaintext)) };
  }
}

/** A client that checks nothing and says what it is told to say. */
export class ScriptedClient {
  readonly #backend: CryptoBackend;
  readonly clientHello: Uint8Array;

  constructor(
    backend: CryptoBackend,
    clientHello: MessageInitShape<typeof ClientHelloSchema> | Uint8Array = {},
  ) {
    this.#backend = backend;
    this.clientHello =
      clientHello instanceof Uint8Array
        ? clientHello
        : serialize(ClientHelloSchema, {
            version: 1,
            random: backend.randomBytes(32),
            ...clientHello,
          });
  }

  hello(): Uint8Array {
    const value = { clientHello: this.clientHello };
    return serialize(ConnectRequestSchema, { kind: { case: "hello", value } });
  }

  /** Confirms with the plaintext that `finished` makes of th2; `change` edits the Finish on its way. */
  finish(
    reply: Uint8Array,
    finished: (th2: Uint8Array) => Uint8Array,
    change: Partial<Pick<Finish, "suite" | "enc" | "sealed">> = {},
    suite: SuiteId = 1,
  ): Uint8Array {
    const parsed = helloReplyOf(reply);
    const publicKey = readPlainEvidence(parsed.evidence).publicKey ?? new Uint8Array(0);
    const th1 = transcript1(this.#backend, { ...parsed, clientHello: this.clientHello });
    const { enc, sharedSecret } = encapsulate(this.#backend, suiteOf(suite), publicKey);
    const info = hpkeInfo(suite, th1);
    const hpke = new HpkeContext(this.#backend, suiteOf(suite), sharedSecret, info);
    const th2 = transcript2(this.#backend, th1, suite, enc);
    const key = handshakeKey(this.#backend, suite, hpke, "c2s", th2);
    const sealed = sealFinished(key, th2, finished(th2));
    const value = { suite, enc, sealed, ...change };
    return serialize(ConnectRequestSchema, { kind: { case: "finish", value } });
  }
}
