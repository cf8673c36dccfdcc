/** handshake-client.json: a client between its Hello and its session, and each check of §4.1. */
import { ServerFinishedSchema, type EnclaveParams } from "#gen/sealrpc/v1/attested_channel_pb.js";
import { ClientHandshake } from "../../channel/client-handshake.ts";
import type { SuiteId } from "../../channel/suite.ts";
import { nodeBackend as backend } from "../../crypto/node.ts";
import { ScriptedEnclave, serialize, TERMS, type ReplyChange } from "../support/handshake-peers.ts";
import { plainEvidence, verifyPlainEvidence } from "../support/plain-evidence.ts";
import { scriptedBackend, seededBackend, seededBytes } from "../support/seeded-backend.ts";
import type { VectorCase, VectorFile } from "./vector-file.ts";

/** What a client of these vectors is made of. */
export interface VectorClient {
  readonly random: Uint8Array;
  readonly skE: Uint8Array;
  readonly suites: readonly SuiteId[];
  readonly versions: readonly number[];
  readonly initialCredit: number;
  /** Whether it can make evidence: LP(th2) ‖ LP(user_data) ‖ LP(""). */
  readonly attester: boolean;
}

/** The client, for either backend. */
export function vectorClient(crypto: typeof backend, client: VectorClient): ClientHandshake {
  const { random, skE, attester, ...options } = client;
  return new ClientHandshake({
    ...options,
    backend: scriptedBackend(crypto, [random, skE]),
    verify: verifyPlainEvidence,
    ...(attester
      ? { attest: (userData, nonce) => Promise.resolve(plainEvidence({ nonce, userData })) }
      : {}),
  });
}

interface Script {
  readonly client?: Partial<VectorClient>;
  readonly params?: Partial<
    Pick<EnclaveParams, "versions" | "suites" | "mlkem768Ek" | "clientAttestation">
  >;
  readonly rawParams?: Uint8Array;
  readonly change?: ReplyChange;
  readonly publicKey?: Uint8Array;
  readonly finished?: object;
  readonly flip?: true;
}

const zeros = (length: number): Uint8Array => new Uint8Array(length);
const malformed = "malformed-handshake";

const SCRIPTS: readonly (readonly [string, string, Script])[] = [
  ["suite 1", "ok", {}],
  ["suite 2, by the client's preference", "ok", { client: { suites: [2, 1] } }],
  [
    "in a batch of eight, at 5",
    "ok",
    { change: { path: [1, 2, 3].map((fill) => zeros(32).fill(fill)), leafIndex: 5 } },
  ],
  [
    "with evidence of its own",
    "ok",
    { client: { attester: true }, params: { clientAttestation: true } },
  ],
  ["1: session_id of 15 bytes", malformed, { change: { sessionId: zeros(15) } }],
  ["1: no evidence", malformed, { change: { evidence: zeros(0) } }],
  ["1: a path entry of 31 bytes", malformed, { change: { path: [zeros(31)] } }],
  [
    "1: a path of 17 entries",
    malformed,
    { change: { path: Array.from({ length: 17 }, () => zeros(32)) } },
  ],
  ["1: leaf_index 1 without a path", malformed, { change: { leafIndex: 1 } }],
  ["1: format 1", malformed, { change: { format: 1 } }],
  [
    "3: evidence of another challenge",
    "challenge-mismatch",
    {
      change: {
        evidence: plainEvidence({ nonce: zeros(32), userData: zeros(60), publicKey: zeros(32) }),
      },
    },
  ],
  [
    "4: parameters that were changed",
    "binding-mismatch",
    { change: { enclaveParams: Uint8Array.of(8, 1, 16, 1) } },
  ],
  ["5: a public key of 31 bytes", "binding-mismatch", { publicKey: zeros(31).fill(9) }],
  ["6: parameters that do not parse", malformed, { rawParams: Uint8Array.of(8) }],
  ["7: version 2 only", "unsupported-version", { params: { versions: [2] } }],
  [
    "8: a later version that both speak",
    "unsupported-version",
    { client: { versions: [1, 2] }, params: { versions: [1, 2] } },
  ],
  ["9: no common suite", "no-common-suite", { client: { suites: [2] }, params: { suites: [1] } }],
  ["10: suite 3 without mlkem768_ek", malformed, { params: { suites: [1, 3] } }],
  ["10: mlkem768_ek without suite 3 or 4", malformed, { params: { mlkem768Ek: zeros(1184) } }],
  [
    "11: evidence is asked for, and there is none",
    "caller-refused",
    { params: { clientAttestation: true } },
  ],
  ["12: a public key of zeros", malformed, { publicKey: zeros(32) }],
  ["21: sealed_s does not open", "authentication-failed", { flip: true }],
  ["21: max_age_ms is 0", malformed, { finished: { maxAgeMs: 0 } }],
  ["21: max_idle_ms is 0", malformed, { finished: { maxIdleMs: 0 } }],
  ["21: max_concurrent_calls is 0", malformed, { finished: { maxConcurrentCalls: 0 } }],
  ["21: max_delay_ms is 0", malformed, { finished: { maxDelayMs: 0 } }],
  ["21: initial_credit is 0", malformed, { finished: { initialCredit: 0 } }],
  ["21: initial_credit is 2^31", malformed, { finished: { initialCredit: 2 ** 31 } }],
  ["22: refused", "caller-refused", { finished: { refused: 1 } }],
];

export async function clientHandshakeVectors(): Promise<VectorFile> {
  const cases: VectorCase[] = [];
  for (const [name, expect, script] of SCRIPTS) cases.push(await makeCase(name, expect, script));
  return {
    description:
      "A client with given random and skE. Names of bad cases begin with the number of the check. Evidence is unsigned: LP(nonce) ‖ LP(user_data) ‖ LP(public_key), compared as the real one is",
    spec: "§4.1",
    cases,
  };
}

async function makeCase(name: string, expect: string, script: Script): Promise<VectorCase> {
  const enclave = new ScriptedEnclave(seededBackend(backend, `client ${name}`));
  const randomBytes = seededBytes(backend, "client");
  const client: VectorClient = {
    random: randomBytes(32),
    skE: randomBytes(32),
    suites: [1, 2],
    versions: [1],
    initialCredit: 262_144,
    attester: false,
    ...script.client,
  };
  const handshake = vectorClient(backend, client);
  const hello = handshake.hello();
  const params = script.rawParams ?? script.params;
  const helloReply = enclave.reply(hello, params, script.change, script.publicKey);
  const begun = { name, expect, client, hello, helloReply };
  if (expect !== "ok" && script.finished === undefined && script.flip === undefined) return begun;

  const finish = await handshake.receiveHello(helloReply);
  const plaintext = serialize(ServerFinishedSchema, { ...TERMS, ...script.finished });
  const finishReply = enclave.finish(finish, plaintext).reply;
  if (script.flip) finishReply[finishReply.length - 1] = (finishReply.at(-1) ?? 0) ^ 1;
  if (expect !== "ok") return { ...begun, finish, finishReply };
  const { suite, sendSecret, receiveSecret, exporterSecret } = handshake.receiveFinish(finishReply);
  const established = { suite, sendSecret, receiveSecret, exporterSecret };
  return { ...begun, finish, finishReply, established };
}
