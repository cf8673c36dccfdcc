/** Verifying attestation documents, against the signatures in them by node:crypto alone. */
import { createPublicKey, generateKeyPairSync, sign, verify } from "node:crypto";
import { type CryptoBackend } from "../../crypto/backend.ts";
import { nodeBackend } from "../../crypto/node.ts";
import { Policy, VerifiedEvidence } from "../../attestation/index.ts";
import { Simulator } from "../../attestation/nsm/index.ts";
import { type Operation, timed } from "./operation.ts";

/** More chains than the verifier remembers, so that each leaf is new to it. */
const LEAVES = 80;
/** A leaf is valid from a little before it is made: that far back, a document needs another one. */
const STEP_MS = 5_000;
const CHAIN_SIGNATURES = 4;

const bare = (signatures: number): Operation => ({
  name: `p384-x${signatures}`,
  title: `node:crypto: ${signatures} P-384 verifications`,
  prepare: async () => {
    const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-384" });
    const message = Buffer.alloc(1024, 1);
    const signature = sign("sha384", message, { key: privateKey, dsaEncoding: "ieee-p1363" });
    const key = {
      key: createPublicKey(publicKey.export({ type: "spki", format: "pem" })),
      dsaEncoding: "ieee-p1363",
    } as const;
    return timed(() => {
      for (let i = 0; i < signatures; i++) verify("sha384", message, key, signature);
    });
  },
});

/** The least that a verifier needs for a leaf that it does not know. */
const newKey: Operation = {
  name: "p384-x2-new-key",
  title: "node:crypto: 2 P-384 verifications, one key imported",
  prepare: async () => {
    const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-384" });
    const message = Buffer.alloc(1024, 1);
    const signature = sign("sha384", message, { key: privateKey, dsaEncoding: "ieee-p1363" });
    const encoded = publicKey.export({ type: "spki", format: "der" });
    return timed(() => {
      const key = createPublicKey({ key: encoded, format: "der", type: "spki" });
      for (let i = 0; i < 2; i++) {
        verify("sha384", message, { key, dsaEncoding: "ieee-p1363" }, signature);
      }
    });
  },
};

export const verifyCold: readonly Operation[] = [
  bare(CHAIN_SIGNATURES + 1),
  {
    name: "sealrpc",
    title: "sealrpc: a chain never seen",
    prepare: async () => {
      const { evidence, policy, now } = await document();
      // What was verified is remembered for each backend: a new one remembers nothing.
      return timed(() => {
        const backend: CryptoBackend = { ...nodeBackend };
        VerifiedEvidence.verify(evidence, { policy, now, backend });
      });
    },
  },
];

export const verifyWarm: readonly Operation[] = [
  bare(2),
  newKey,
  {
    name: "sealrpc",
    title: "sealrpc: authorities known, a new leaf",
    prepare: async () => {
      const made = await documents(LEAVES);
      let next = 0;
      return timed(() => {
        const one = made[next++ % made.length];
        if (one !== undefined) {
          const { evidence, policy, now } = one;
          VerifiedEvidence.verify(evidence, { policy, now });
        }
      });
    },
  },
  {
    name: "sealrpc-known-leaf",
    title: "sealrpc: the same leaf again",
    prepare: async () => {
      const { evidence, policy, now } = await document();
      return timed(() => VerifiedEvidence.verify(evidence, { policy, now }));
    },
  },
];

interface Document {
  readonly evidence: Uint8Array;
  readonly policy: Policy;
  readonly now: number;
}

async function document(): Promise<Document> {
  const [only] = await documents(1);
  if (only === undefined) throw new Error("no document");
  return only;
}

/** Each under a leaf of its own, all under the same authorities. */
async function documents(count: number): Promise<Document[]> {
  let now = Date.now();
  const simulator = await Simulator.create({ now: () => now });
  const policy = Policy.from(simulator.policyOptions());
  const made: Document[] = [];
  for (; made.length < count; now -= STEP_MS) {
    const request = { nonce: new Uint8Array(32), publicKey: new Uint8Array(32) };
    made.push({ evidence: await simulator.attest(request), policy, now });
  }
  return made;
}
