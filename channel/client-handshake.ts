/**
 * The client's half of the handshake (docs/protocol.md §4): Hello out, HelloReply in, Finish out,
 * FinishReply in. Bytes in, bytes out; time limits are the driver's.
 */
import {
  ClientFinishedSchema,
  ClientHelloSchema,
  ConnectRequestSchema,
  type EnclaveParams,
} from "#gen/sealrpc/v1/attested_channel_pb.js";
import type { VerifiedEvidence } from "../attestation/verified-evidence.ts";
import type { CryptoBackend } from "../crypto/backend.ts";
import { ChannelError } from "./errors.ts";
import type { Established } from "./established.ts";
import { verifyBound, type VerifyEvidence } from "./evidence.ts";
import { openFinished, sealFinished } from "./finished.ts";
import {
  encode,
  MAX_EVIDENCE_BYTES,
  parseEnclaveParams,
  parseFinishReply,
  parseHelloReply,
  parseServerFinished,
  RANDOM_BYTES,
  VERSION,
} from "./handshake-message.ts";
import { encapsulate, HpkeContext } from "./hpke.ts";
import { exporterSecret, handshakeKey, trafficSecret } from "./key-schedule.ts";
import { helloLeaf, merkleRoot } from "./merkle-tree.ts";
import { MAX_CREDIT, usedTerms } from "./session-terms.ts";
import { chooseSuite, suiteOf, type SuiteId } from "./suite.ts";
import {
  clientUserData,
  enclaveUserData,
  hpkeInfo,
  transcript1,
  transcript2,
  transcript3,
  transcript4,
} from "./transcript.ts";

const X25519_BYTES = 32;
const ML_KEM_SUITES = [3, 4];
const ML_KEM_KEY_BYTES = 1184;

/** What a client brings to a handshake. */
export interface ClientHandshakeOptions {
  readonly backend: CryptoBackend;
  /** The suites that will do, the preferred one first. */
  readonly suites: readonly SuiteId[];
  readonly verify: VerifyEvidence;
  /** Bytes per call that this client receives before it grants more: 1 to 2^31 - 1. */
  readonly initialCredit: number;
  /** Makes evidence of this client, for enclaves that ask for it. */
  readonly attest?: (userData: Uint8Array, nonce: Uint8Array) => Promise<Uint8Array>;
  /** All versions that this client speaks, later ones included. @default [1] */
  readonly versions?: readonly number[];
}

/** What may happen next; `evidence` while this client's own is being made. */
type Step = "hello" | "reply" | "evidence" | "finish" | "over";

/** What is kept from Finish to FinishReply. */
interface Confirming {
  readonly suite: SuiteId;
  readonly hpke: HpkeContext;
  readonly th2: Uint8Array;
  readonly th3: Uint8Array;
  readonly evidence: VerifiedEvidence;
}

/** One handshake: each method once, in this order. After an error it is over, its keys erased. */
export class ClientHandshake {
  readonly #options: ClientHandshakeOptions;
  #step: Step = "hello";
  #clientHello: Uint8Array = new Uint8Array(0);
  #hpke: HpkeContext | undefined;
  #confirming: Confirming | undefined;

  /** @throws RangeError for no suite, or a credit that is out of range. */
  constructor(options: ClientHandshakeOptions) {
    const { suites, initialCredit } = options;
    if (suites.length === 0) throw new RangeError("a client needs at least one suite");
    if (!Number.isInteger(initialCredit) || initialCredit < 1 || initialCredit > MAX_CREDIT) {
      throw new RangeError(`initialCredit is 1 to ${MAX_CREDIT}, not ${initialCredit}`);
    }
    this.#options = options;
  }

  /** The serialized ConnectRequest{hello}. */
  hello(): Uint8Array {
    this.#advance("hello", "reply");
    // Invariant: fresh for each handshake. Nothing else proves that the evidence is.
    const random = this.#options.backend.randomBytes(RANDOM_BYTES);
    const clientHello = encode(ClientHelloSchema, { version: VERSION, random });
    this.#clientHello = clientHello;
    return encode(ConnectRequestSchema, { kind: { case: "hello", value: { clientHello } } });
  }

  /**
   * Checks a serialized ConnectResponse{hello} and gives the serialized ConnectRequest{finish}.
   *
   * Rejects with what `verify` and `attest` throw, or with ChannelError `malformed-handshake`,
   * `unsupported-version`, `no-common-suite`, `caller-refused`.
   */
  async receiveHello(message: Uint8Array): Promise<Uint8Array> {
    this.#advance("reply", "evidence");
    try {
      return await this.#receiveHello(message);
    } catch (error) {
      this.destroy();
      throw error;
    }
  }

  /**
   * Checks a serialized ConnectResponse{finish}. Only after it may a record be sent.
   *
   * @throws ChannelError `malformed-handshake`, `authentication-failed`, `caller-refused`.
   */
  receiveFinish(message: Uint8Array): Established {
    this.#advance("finish", "over");
    try {
      return this.#receiveFinish(message);
    } finally {
      this.destroy();
    }
  }

  /** Gives up, or cleans up: erases what is kept. */
  destroy(): void {
    this.#step = "over";
    this.#hpke?.destroy();
    this.#confirming = undefined;
  }

  async #receiveHello(message: Uint8Array): Promise<Uint8Array> {
    const { backend, verify, initialCredit } = this.#options;
    const clientHello = this.#clientHello;
    const reply = parseHelloReply(message);
    const { path, leafIndex } = reply;
    const evidence = verifyBound(verify, reply.evidence, {
      challenge: merkleRoot(backend, helloLeaf(backend, clientHello), path, leafIndex),
      userData: enclaveUserData(backend, reply.enclaveParams),
      publicKeyBytes: X25519_BYTES,
    });
    // Invariant: nothing inside enclave_params is used before the evidence has covered it.
    const params = parseEnclaveParams(reply.enclaveParams);
    const suite = this.#negotiate(params);

    const publicKey = evidence.publicKey ?? new Uint8Array(0);
    const { enc, sharedSecret } = encapsulate(backend, suiteOf(suite), publicKey);
    const th1 = transcript1(backend, { ...reply, clientHello });
    const th2 = transcript2(backend, th1, suite, enc);
    const hpke = new HpkeContext(backend, suiteOf(suite), sharedSecret, hpkeInfo(suite, th1));
    this.#hpke = hpke;

    const own = params.clientAttestation ? await this.#attest(th2) : new Uint8Array(0);
    if (this.#step !== "evidence") throw outOfOrder();
    const plaintext = encode(ClientFinishedSchema, { evidence: own, initialCredit });
    const sealed = sealFinished(handshakeKey(backend, suite, hpke, "c2s", th2), th2, plaintext);
    const th3 = transcript3(backend, th2, sealed);
    this.#confirming = { suite, hpke, th2, th3, evidence };
    this.#step = "finish";
    const finish = { suite, enc, sealed };
    return encode(ConnectRequestSchema, { kind: { case: "finish", value: finish } });
  }

  #negotiate(params: EnclaveParams): SuiteId {
    const { versions = [VERSION], suites, attest } = this.#options;
    const common = versions.filter((version) => params.versions.includes(version));
    if (Math.max(...common) !== VERSION) {
      const offered = params.versions.join(", ");
      throw new ChannelError("unsupported-version", `used ${VERSION}, attested: ${offered}`);
    }
    const suite = chooseSuite(suites, params.suites);
    if (suite === undefined) {
      const offered = params.suites.join(", ");
      throw new ChannelError(
        "no-common-suite",
        `accepted ${suites.join(", ")}, offered ${offered}`,
      );
    }
    const withMlKem = params.suites.some((id) => ML_KEM_SUITES.includes(id));
    if (params.mlkem768Ek.length !== (withMlKem ? ML_KEM_KEY_BYTES : 0)) {
      throw new ChannelError(
        "malformed-handshake",
        `mlkem768_ek: ${params.mlkem768Ek.length} bytes`,
      );
    }
    if (params.clientAttestation && attest === undefined) {
      throw new ChannelError("caller-refused", "the enclave asks for evidence, and there is none");
    }
    return suite;
  }

  async #attest(th2: Uint8Array): Promise<Uint8Array> {
    const evidence = (await this.#options.attest?.(clientUserData(), th2)) ?? new Uint8Array(0);
    if (evidence.length === 0 || evidence.length > MAX_EVIDENCE_BYTES) {
      throw new ChannelError("malformed-handshake", `own evidence of ${evidence.length} bytes`);
    }
    return evidence;
  }

  #receiveFinish(message: Uint8Array): Established {
    const { backend, initialCredit } = this.#options;
    if (this.#confirming === undefined) throw outOfOrder();
    const { suite, hpke, th2, th3, evidence } = this.#confirming;
    const { sealed } = parseFinishReply(message);
    const key = handshakeKey(backend, suite, hpke, "s2c", th2);
    const terms = parseServerFinished(openFinished(key, th3, sealed));
    const th4 = transcript4(backend, th3, sealed);
    return {
      suite,
      sendSecret: trafficSecret(hpke, "c2s", th4),
      receiveSecret: trafficSecret(hpke, "s2c", th4),
      exporterSecret: exporterSecret(hpke, th4),
      terms: usedTerms(terms),
      sendCredit: terms.initialCredit,
      receiveCredit: initialCredit,
      evidence,
    };
  }

  #advance(from: Step, to: Step): void {
    if (this.#step !== from) {
      this.destroy();
      throw outOfOrder();
    }
    this.#step = to;
  }
}

function outOfOrder(): ChannelError {
  return new ChannelError("malformed-handshake", "a message out of order");
}
