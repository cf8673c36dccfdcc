/**
 * Answers hellos, many with one document (docs/protocol.md §6). While the attester is busy hellos
 * wait, and all that wait make the next batch: one at a time when idle, and no timer anywhere.
 */
import { EnclaveParamsSchema } from "#gen/sealrpc/v1/attested_channel_pb.js";
import type { CryptoBackend } from "../crypto/backend.ts";
import { EnclaveHandshake, type AnsweredBatch } from "./enclave-handshake.ts";
import { ChannelError } from "./errors.ts";
import type { VerifyEvidence } from "./evidence.ts";
import {
  encode,
  MAX_EVIDENCE_BYTES,
  MAX_PARAMS_BYTES,
  parseHello,
  SESSION_ID_BYTES,
  VERSION,
} from "./handshake-message.ts";
import { helloLeaf, MerkleTree } from "./merkle-tree.ts";
import type { SuiteId } from "./suite.ts";
import { enclaveUserData } from "./transcript.ts";

/** The three values that bind the enclave's evidence to a batch. */
export interface BatchEvidenceRequest {
  readonly publicKey: Uint8Array;
  readonly userData: Uint8Array;
  readonly nonce: Uint8Array;
}

/** What an enclave brings to its handshakes. */
export interface HelloBatcherOptions {
  readonly backend: CryptoBackend;
  readonly suites: readonly SuiteId[];
  /** Bytes of the application that its clients see attested. */
  readonly appInfo?: Uint8Array;
  /** Makes evidence; called for one batch at a time. */
  readonly attest: (request: BatchEvidenceRequest) => Promise<Uint8Array>;
  /** Given: every client must show evidence, and this verifies it. What it throws is a refusal. */
  readonly verifyCaller?: VerifyEvidence;
  /** Hellos in one batch. @default 1024 */
  readonly maxBatchHellos?: number;
  /** Hellos that wait for the attester. @default 1024 */
  readonly maxQueuedHellos?: number;
  /** Handshakes between Hello and Finish, the waiting ones included. @default 4096 */
  readonly maxUnfinished?: number;
}

interface WaitingHello {
  readonly clientHello: Uint8Array;
  readonly resolve: (handshake: EnclaveHandshake) => void;
  readonly reject: (error: unknown) => void;
}

/** One an enclave: where all handshakes begin. */
export class HelloBatcher {
  readonly #options: HelloBatcherOptions;
  readonly #enclaveParams: Uint8Array;
  readonly #userData: Uint8Array;
  readonly #queue: WaitingHello[] = [];
  #attesting = false;
  #unfinished = 0;

  /** @throws RangeError for no suite, or more `appInfo` than its message holds. */
  constructor(options: HelloBatcherOptions) {
    const { suites, appInfo = new Uint8Array(0), verifyCaller } = options;
    if (suites.length === 0) throw new RangeError("an enclave needs at least one suite");
    this.#options = { ...options, suites: [...suites] };
    this.#enclaveParams = encode(EnclaveParamsSchema, {
      versions: [VERSION],
      suites: [...suites],
      clientAttestation: verifyCaller !== undefined,
      appInfo,
    });
    if (this.#enclaveParams.length > MAX_PARAMS_BYTES) {
      throw new RangeError(
        `appInfo of ${appInfo.length} bytes does not fit in ${MAX_PARAMS_BYTES}`,
      );
    }
    this.#userData = enclaveUserData(options.backend, this.#enclaveParams);
  }

  /** Handshakes that have begun and are neither finished nor expired. */
  get unfinished(): number {
    return this.#unfinished;
  }

  /**
   * Answers a serialized ConnectRequest{hello}. No public-key work is done for it before its batch.
   *
   * Rejects with ChannelError `malformed-handshake` and `unsupported-version`, with `refused` when
   * there is no room, and with what `attest` throws.
   */
  async accept(message: Uint8Array): Promise<EnclaveHandshake> {
    const { maxQueuedHellos = 1024, maxUnfinished = 4096 } = this.#options;
    const clientHello = parseHello(message).slice();
    // Evicting an older one instead would let a flood push out honest clients.
    if (this.#queue.length >= maxQueuedHellos || this.#unfinished >= maxUnfinished) {
      throw new ChannelError("refused", "no room for another handshake");
    }
    this.#unfinished++;
    const answered = new Promise<EnclaveHandshake>((resolve, reject) => {
      this.#queue.push({ clientHello, resolve, reject });
    });
    if (!this.#attesting) void this.#answerQueue();
    return answered;
  }

  async #answerQueue(): Promise<void> {
    this.#attesting = true;
    while (this.#queue.length > 0) {
      const hellos = this.#queue.splice(0, this.#options.maxBatchHellos ?? 1024);
      try {
        await this.#answer(hellos);
      } catch (error) {
        this.#unfinished -= hellos.length;
        for (const { reject } of hellos) reject(error);
      }
    }
    this.#attesting = false;
  }

  async #answer(hellos: readonly WaitingHello[]): Promise<void> {
    const { backend, suites, attest, verifyCaller } = this.#options;
    const enclaveParams = this.#enclaveParams;
    const tree = new MerkleTree(
      backend,
      hellos.map(({ clientHello }) => helloLeaf(backend, clientHello)),
    );
    const keyPair = backend.x25519();
    let evidence: Uint8Array;
    try {
      const { publicKey } = keyPair;
      const userData = this.#userData;
      evidence = await attest({ publicKey, userData, nonce: tree.root });
      if (evidence.length === 0 || evidence.length > MAX_EVIDENCE_BYTES) {
        throw new ChannelError("malformed-handshake", `own evidence of ${evidence.length} bytes`);
      }
    } catch (error) {
      keyPair.destroy();
      throw error;
    }
    let holders = hellos.length;
    const batch: AnsweredBatch = {
      backend,
      suites,
      verifyCaller,
      keyPair,
      enclaveParams,
      evidence,
      tree,
      release: () => {
        this.#unfinished--;
        if (--holders === 0) keyPair.destroy();
      },
    };
    hellos.forEach(({ clientHello, resolve }, leafIndex) => {
      // Invariant: a session id of its own for each handshake, even of the same hello.
      const sessionId = backend.randomBytes(SESSION_ID_BYTES);
      resolve(new EnclaveHandshake(batch, clientHello, leafIndex, sessionId));
    });
  }
}
