/** handshake-enclave.json: an enclave from Hello to a session, and each check of §4.2. */
import {
  ClientFinishedSchema,
  type ClientHelloSchema,
} from "#gen/sealrpc/v1/attested_channel_pb.js";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { HelloBatcher } from "../../channel/hello-batch.ts";
import type { SuiteId } from "../../channel/suite.ts";
import { clientUserData } from "../../channel/transcript.ts";
import { nodeBackend as backend } from "../../crypto/node.ts";
import { ScriptedClient, serialize, TERMS } from "../support/handshake-peers.ts";
import { plainEvidence, verifyPlainEvidence } from "../support/plain-evidence.ts";
import { scriptedBackend, seededBackend, seededBytes } from "../support/seeded-backend.ts";
import type { VectorCase, VectorFile } from "./vector-file.ts";

/** What an enclave of these vectors is made of. It has one hello, so its path is empty. */
export interface VectorEnclave {
  readonly skR: Uint8Array;
  readonly sessionId: Uint8Array;
  readonly suites: readonly SuiteId[];
  readonly appInfo: Uint8Array;
  readonly clientAttestation: boolean;
}

/** The enclave, for either backend. */
export function vectorEnclave(crypto: typeof backend, enclave: VectorEnclave): HelloBatcher {
  const { skR, sessionId, suites, appInfo, clientAttestation } = enclave;
  return new HelloBatcher({
    backend: scriptedBackend(crypto, [skR, sessionId]),
    suites,
    appInfo,
    attest: (request) => Promise.resolve(plainEvidence(request)),
    ...(clientAttestation ? { verifyCaller: verifyPlainEvidence } : {}),
  });
}

interface Script {
  readonly enclave?: Partial<VectorEnclave>;
  readonly hello?: MessageInitShape<typeof ClientHelloSchema> | Uint8Array;
  readonly suite?: SuiteId;
  readonly finished?: (th2: Uint8Array) => MessageInitShape<typeof ClientFinishedSchema>;
  readonly change?: Parameters<ScriptedClient["finish"]>[2];
}

const zeros = (length: number): Uint8Array => new Uint8Array(length);
const malformed = "malformed-handshake";
const mutual = { clientAttestation: true };
const evidenceOf = (nonce: Uint8Array): Uint8Array =>
  plainEvidence({ nonce, userData: clientUserData() });

const SCRIPTS: readonly (readonly [string, string, Script])[] = [
  ["suite 1", "ok", {}],
  ["suite 2", "ok", { suite: 2 }],
  ["app_info", "ok", { enclave: { appInfo: Uint8Array.of(1, 2, 3) } }],
  [
    "with evidence of the client",
    "ok",
    { enclave: mutual, finished: (th2) => ({ evidence: evidenceOf(th2) }) },
  ],
  ["13: no client_hello", malformed, { hello: zeros(0) }],
  ["13: client_hello does not parse", malformed, { hello: Uint8Array.of(8) }],
  ["13: random of 31 bytes", malformed, { hello: { random: zeros(31) } }],
  ["14: version 2", "unsupported-version", { hello: { version: 2 } }],
  ["15: sealed of 15 bytes", malformed, { change: { sealed: zeros(15) } }],
  ["15: enc of 31 bytes", malformed, { change: { enc: zeros(31) } }],
  [
    "16: a suite that was not listed",
    "no-common-suite",
    { enclave: { suites: [1] }, change: { suite: 2 } },
  ],
  ["17: enc of zeros", malformed, { change: { enc: zeros(32) } }],
  ["18: sealed_c does not open", "authentication-failed", { change: { sealed: zeros(40) } }],
  ["18: another suite than was confirmed", "authentication-failed", { change: { suite: 2 } }],
  ["18: initial_credit is 0", malformed, { finished: () => ({ initialCredit: 0 }) }],
  ["18: initial_credit is 2^31", malformed, { finished: () => ({ initialCredit: 2 ** 31 }) }],
  [
    "18: evidence that was not asked for",
    malformed,
    { finished: (th2) => ({ evidence: evidenceOf(th2) }) },
  ],
  ["18: no evidence", malformed, { enclave: mutual }],
  [
    "19: evidence of another handshake",
    "caller-refused",
    { enclave: mutual, finished: () => ({ evidence: evidenceOf(zeros(32)) }) },
  ],
  [
    "19: evidence with the enclave's label",
    "caller-refused",
    {
      enclave: mutual,
      finished: (nonce) => {
        const userData = new TextEncoder().encode("sealrpc1 server attestation\0");
        return { evidence: plainEvidence({ nonce, userData }) };
      },
    },
  ],
  [
    "19: evidence with a public key",
    "caller-refused",
    {
      enclave: mutual,
      finished: (nonce) => ({
        evidence: plainEvidence({ nonce, userData: clientUserData(), publicKey: zeros(32) }),
      }),
    },
  ],
];

export async function enclaveHandshakeVectors(): Promise<VectorFile> {
  const cases: VectorCase[] = [];
  for (const [name, expect, script] of SCRIPTS) cases.push(await makeCase(name, expect, script));
  return {
    description:
      "An enclave with given skR and session_id and the default terms. Names of bad cases begin with the number of the check. Evidence is unsigned: LP(nonce) ‖ LP(user_data) ‖ LP(public_key), compared as the real one is",
    spec: "§4.2",
    cases,
  };
}

async function makeCase(name: string, expect: string, script: Script): Promise<VectorCase> {
  const randomBytes = seededBytes(backend, "enclave");
  const enclave: VectorEnclave = {
    skR: randomBytes(32),
    sessionId: randomBytes(16),
    suites: [1, 2],
    appInfo: zeros(0),
    clientAttestation: false,
    ...script.enclave,
  };
  const client = new ScriptedClient(seededBackend(backend, `enclave ${name}`), script.hello);
  const hello = client.hello();
  if (script.hello !== undefined) return { name, expect, enclave, hello };
  const handshake = await vectorEnclave(backend, enclave).accept(hello);
  const helloReply = handshake.reply;
  const finished = (th2: Uint8Array): Uint8Array =>
    serialize(ClientFinishedSchema, { initialCredit: 262_144, ...script.finished?.(th2) });
  const finish = client.finish(helloReply, finished, script.change, script.suite);
  const answered = { name, expect, enclave, hello, helloReply, finish };
  if (expect !== "ok" && expect !== "caller-refused") return answered;
  const { reply: finishReply, established } = handshake.receiveFinish(finish, TERMS);
  if (established === undefined) return { ...answered, finishReply };
  const { suite, sendSecret, receiveSecret, exporterSecret } = established;
  const secrets = { suite, sendSecret, receiveSecret, exporterSecret };
  return { ...answered, finishReply, established: secrets };
}
