/**
 * The enclave's half of one handshake, from the answered hello on (docs/protocol.md §4). Hellos are
 * answered in batches, by `hello-batch.ts`. Toward the client every failure looks the same: the
 * error's code is for the enclave's own log.
 */
import {
  ConnectResponseSchema,
  ServerFinishedSchema,
} from "#gen/sealrpc/v1/attested_channel_pb.js";
import type { VerifiedEvidence } from "../attestation/verified-evidence.ts";
import type { CryptoBackend, X25519KeyPair } from "../crypto/backend.ts";
import { ChannelError } from "./errors.ts";
import type { Established, SessionTerms } from "./established.ts";
import { verifyBound, type VerifyEvidence } from "./evidence.ts";
import { openFinished, sealFinished } from "./finished.ts";
import { encode, NITRO_FORMAT, parseClientFinished, parseFinish } from "./handshake-message.ts";
import { decapsulate, HpkeContext } from "./hpke.ts";
import { exporterSecret, handshakeKey, trafficSecret } from "./key-schedule.ts";
import type { MerkleTree } from "./merkle-tree.ts";
import { checkTerms } from "./session-terms.ts";
import { suiteOf, type SuiteId } from "./suite.ts";
import {
  clientUserData,
  hpkeInfo,
  transcript1,
  transcript2,
  transcript3,
  transcript4,
} from "./transcript.ts";

/** What the handshakes of one batch share. */
export interface AnsweredBatch {
  readonly backend: CryptoBackend;
  readonly suites: readonly SuiteId[];
  readonly verifyCaller: VerifyEvidence | undefined;
  readonly keyPair: X25519KeyPair;
  readonly enclaveParams: Uint8Array;
  readonly evidence: Uint8Array;
  readonly tree: MerkleTree;
  /** Called once by each handshake when it needs the key no more. */
  release(): void;
}

/** How a Finish was answered: either `established` or `refusal` is there. */
export interface FinishAnswer {
  /** The serialized ConnectResponse{finish}. */
  readonly reply: Uint8Array;
  readonly established?: Established;
  /** Why the caller was refused. The reply says so, sealed; after it the stream ends. */
  readonly refusal?: unknown;
}

/** A hello that was answered. Its owner calls `receiveFinish` or `expire`, or the batch's key stays. */
export class EnclaveHandshake {
  readonly #leafIndex: number;
  readonly #sessionId: Uint8Array;
  readonly #th1: Uint8Array;
  #batch: AnsweredBatch | undefined;

  constructor(
    batch: AnsweredBatch,
    clientHello: Uint8Array,
    leafIndex: number,
    sessionId: Uint8Array,
  ) {
    const { backend, enclaveParams, evidence } = batch;
    const hello = { clientHello, enclaveParams, format: NITRO_FORMAT, evidence, sessionId };
    this.#th1 = transcript1(backend, hello);
    this.#batch = batch;
    this.#leafIndex = leafIndex;
    this.#sessionId = sessionId;
  }

  /** The serialized ConnectResponse{hello}: made anew at each call, from what the batch shares. */
  get reply(): Uint8Array {
    if (this.#batch === undefined) throw over();
    const { enclaveParams, evidence, tree } = this.#batch;
    const leafIndex = this.#leafIndex;
    const path = tree.path(leafIndex);
    const value = { enclaveParams, evidence, sessionId: this.#sessionId, path, leafIndex };
    return encode(ConnectResponseSchema, { kind: { case: "hello", value } });
  }

  /**
   * Checks a serialized ConnectRequest{finish} and confirms the key. At most once: whatever comes of
   * it, the handshake is over afterwards.
   *
   * @throws ChannelError `malformed-handshake`, `no-common-suite`, `authentication-failed`.
   * @throws RangeError for terms that a client would not take.
   */
  receiveFinish(message: Uint8Array, terms: SessionTerms): FinishAnswer {
    checkTerms(terms);
    const batch = this.#batch;
    if (batch === undefined) throw over();
    this.#batch = undefined;
    try {
      return this.#confirm(batch, message, terms);
    } finally {
      batch.release();
    }
  }

  /** Gives up: the time is over, or the stream is gone. */
  expire(): void {
    this.#batch?.release();
    this.#batch = undefined;
  }

  #confirm(batch: AnsweredBatch, message: Uint8Array, terms: SessionTerms): FinishAnswer {
    const { backend, suites, keyPair, verifyCaller } = batch;
    const finish = parseFinish(message);
    const suite = suites.find((id) => id === finish.suite);
    if (suite === undefined) {
      throw new ChannelError("no-common-suite", `offered ${suites.join()}, not ${finish.suite}`);
    }
    const sharedSecret = decapsulate(backend, suiteOf(suite), keyPair, finish.enc);
    const info = hpkeInfo(suite, this.#th1);
    const hpke = new HpkeContext(backend, suiteOf(suite), sharedSecret, info);
    try {
      const th2 = transcript2(backend, this.#th1, suite, finish.enc);
      const key = handshakeKey(backend, suite, hpke, "c2s", th2);
      const plaintext = openFinished(key, th2, finish.sealed);
      const { evidence, initialCredit } = parseClientFinished(plaintext, !!verifyCaller);
      const th3 = transcript3(backend, th2, finish.sealed);
      const confirm = (finished: Uint8Array): Uint8Array =>
        sealFinished(handshakeKey(backend, suite, hpke, "s2c", th2), th3, finished);

      let caller: VerifiedEvidence | undefined;
      try {
        caller = verifyCaller && admit(verifyCaller, evidence, th2);
      } catch (refusal) {
        const sealed = confirm(encode(ServerFinishedSchema, { refused: 1 }));
        return { reply: finishReply(sealed), refusal };
      }
      const sealed = confirm(encode(ServerFinishedSchema, terms));
      const th4 = transcript4(backend, th3, sealed);
      const established = {
        suite,
        sendSecret: trafficSecret(hpke, "s2c", th4),
        receiveSecret: trafficSecret(hpke, "c2s", th4),
        exporterSecret: exporterSecret(hpke, th4),
        terms,
        sendCredit: initialCredit,
        receiveCredit: terms.initialCredit,
        evidence: caller,
      };
      return { reply: finishReply(sealed), established };
    } finally {
      hpke.destroy();
    }
  }
}

/** @throws what `verifyCaller` throws, or ChannelError for evidence of another handshake. */
function admit(
  verifyCaller: VerifyEvidence,
  evidence: Uint8Array,
  th2: Uint8Array,
): VerifiedEvidence {
  const binding = { challenge: th2, userData: clientUserData(), publicKeyBytes: 0 } as const;
  return verifyBound(verifyCaller, evidence, binding);
}

function finishReply(sealed: Uint8Array): Uint8Array {
  return encode(ConnectResponseSchema, { kind: { case: "finish", value: { sealed } } });
}

function over(): ChannelError {
  return new ChannelError("malformed-handshake", "a message out of order");
}
