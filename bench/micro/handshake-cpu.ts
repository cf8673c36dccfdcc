/** What a handshake costs the enclave beside the security module's document. */
import {
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  hkdfSync,
  type KeyObject,
} from "node:crypto";
import type { VerifiedEvidence } from "../../attestation/verified-evidence.ts";
import { ClientHandshake } from "../../channel/client-handshake.ts";
import { type BatchEvidenceRequest, HelloBatcher } from "../../channel/hello-batch.ts";
import { SUITE_IDS } from "../../channel/suite.ts";
import { nodeBackend as backend } from "../../crypto/node.ts";
import { type Operation, Stopwatch, timed } from "./operation.ts";

/** As long as AWS's documents are. */
const EVIDENCE_BYTES = 4_600;
const TERMS = {
  maxAgeMs: 3_600_000,
  maxIdleMs: 600_000,
  maxConcurrentCalls: 1024,
  maxDelayMs: 30_000,
  initialCredit: 262_144,
};

/** The least that any key exchange with a fresh key needs. */
const exchange: Operation = {
  name: "x25519-hkdf",
  title: "node:crypto: X25519 with a fresh key, HKDF",
  prepare: async () => {
    const peer = peerKey();
    return timed(() => {
      const { privateKey } = generateKeyPairSync("x25519");
      derive(privateKey, createPublicKey({ key: peer, format: "jwk" }));
    });
  },
};

const bareExchange: Operation = {
  name: "x25519-hkdf-keys-at-hand",
  title: "node:crypto: X25519, both keys at hand, HKDF",
  prepare: async () => {
    const { privateKey } = generateKeyPairSync("x25519");
    const publicKey = createPublicKey({ key: peerKey(), format: "jwk" });
    return timed(() => derive(privateKey, publicKey));
  },
};

const handshakes = SUITE_IDS.map((suite): Operation => ({
  name: `sealrpc-suite-${suite}`,
  title: `sealrpc, suite ${suite}: from Hello to FinishReply`,
  prepare: async () => {
    const evidence = backend.randomBytes(EVIDENCE_BYTES);
    let bound: BatchEvidenceRequest | undefined;
    const batcher = new HelloBatcher({
      backend,
      suites: SUITE_IDS,
      attest: async (request) => {
        bound = request;
        return evidence;
      },
    });
    // The client believes all: its part is not what is measured.
    const verify = (): VerifiedEvidence => {
      const { publicKey, userData, nonce: challenge } = bound ?? {};
      return { publicKey, userData, challenge } as unknown as VerifiedEvidence;
    };
    return async (durationMs) => {
      const stopwatch = new Stopwatch();
      let count = 0;
      for (; stopwatch.spentUs < durationMs * 500; count++) {
        const client = new ClientHandshake({ backend, suites: [suite], verify, initialCredit: 1 });
        const hello = client.hello();
        stopwatch.start();
        const handshake = await batcher.accept(hello);
        const { reply } = handshake;
        stopwatch.stop();
        const finish = await client.receiveHello(reply);
        stopwatch.start();
        const answer = handshake.receiveFinish(finish, TERMS);
        stopwatch.stop();
        client.receiveFinish(answer.reply);
      }
      return stopwatch.spentUs / count;
    };
  },
}));

export const handshakeCpu: readonly Operation[] = [exchange, bareExchange, ...handshakes];

function derive(privateKey: KeyObject, publicKey: KeyObject): void {
  hkdfSync("sha256", diffieHellman({ privateKey, publicKey }), "", "sealrpc", 32);
}

function peerKey(): { kty: string; crv: string; x: string } {
  const { x = "" } = generateKeyPairSync("x25519").publicKey.export({ format: "jwk" });
  return { kty: "OKP", crv: "X25519", x };
}
