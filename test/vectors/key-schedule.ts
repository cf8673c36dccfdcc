/** key-schedule.json: every derived value of one handshake, in order. */
import {
  ClientFinishedSchema,
  ClientHelloSchema,
  EnclaveParamsSchema,
  ServerFinishedSchema,
} from "#gen/sealrpc/v1/attested_channel_pb.js";
import { encapsulate, HpkeContext } from "../../channel/hpke.ts";
import {
  exporterSecret,
  exportKey,
  nextTrafficSecret,
  trafficSecret,
} from "../../channel/key-schedule.ts";
import { helloLeaf } from "../../channel/merkle-tree.ts";
import { ascii, concat } from "../../channel/notation.ts";
import { SUITE_IDS, suiteOf, type SuiteId } from "../../channel/suite.ts";
import {
  enclaveUserData,
  hpkeInfo,
  transcript1,
  transcript2,
  transcript3,
  transcript4,
} from "../../channel/transcript.ts";
import { nodeBackend as backend } from "../../crypto/node.ts";
import { serialize, TERMS } from "../support/handshake-peers.ts";
import { scriptedBackend, seededBytes } from "../support/seeded-backend.ts";
import type { VectorFile } from "./vector-file.ts";

export function keyScheduleVectors(): VectorFile {
  return {
    description:
      "From two hellos to the application's key. hs_c and hs_s are key ‖ iv; a trafficKey is key ‖ iv of ts[n]; evidence is any bytes",
    spec: "§2",
    cases: SUITE_IDS.map((suite) => ({
      name: `suite ${suite}`,
      expect: "ok",
      ...schedule(suite),
    })),
  };
}

function schedule(suite: SuiteId): object {
  const randomBytes = seededBytes(backend, `key schedule ${suite}`);
  const clientHello = serialize(ClientHelloSchema, { version: 1, random: randomBytes(32) });
  const enclaveParams = serialize(EnclaveParamsSchema, { versions: [1], suites: [1, 2] });
  const [evidence, sessionId, skE, skR] = [40, 16, 32, 32].map(randomBytes) as Bytes4;
  const pkR = backend.x25519(skR).publicKey;

  const hello = { clientHello, enclaveParams, format: 0, evidence, sessionId };
  const th1 = transcript1(backend, hello);
  const info = hpkeInfo(suite, th1);
  const sent = encapsulate(scriptedBackend(backend, [skE]), suiteOf(suite), pkR);
  const { enc, sharedSecret } = { ...sent, sharedSecret: sent.sharedSecret.slice() };
  const hpke = new HpkeContext(backend, suiteOf(suite), sent.sharedSecret, info);
  const th2 = transcript2(backend, th1, suite, enc);

  const hsC = hpke.export(concat(ascii("sealrpc1 hs c2s"), th2), 44);
  const clientFinished = serialize(ClientFinishedSchema, { initialCredit: 262_144 });
  const sealedC = seal(suite, hsC, th2, clientFinished);
  const th3 = transcript3(backend, th2, sealedC);
  const hsS = hpke.export(concat(ascii("sealrpc1 hs s2c"), th2), 44);
  const serverFinished = serialize(ServerFinishedSchema, TERMS);
  const sealedS = seal(suite, hsS, th3, serverFinished);
  const th4 = transcript4(backend, th3, sealedS);

  const exporter = exporterSecret(hpke, th4);
  const [label, context, length] = [ascii("label"), randomBytes(10), 48];
  return {
    suite,
    ...hello,
    skE,
    skR,
    pkR,
    leaf: helloLeaf(backend, clientHello),
    enclaveUserData: enclaveUserData(backend, enclaveParams),
    th1,
    hpkeInfo: info,
    enc,
    sharedSecret,
    th2,
    hsC,
    clientFinished,
    sealedC,
    th3,
    hsS,
    serverFinished,
    sealedS,
    th4,
    c2s: traffic(trafficSecret(hpke, "c2s", th4)),
    s2c: traffic(trafficSecret(hpke, "s2c", th4)),
    exporter,
    application: {
      label,
      context,
      length,
      key: exportKey(backend, exporter, label, context, length),
    },
  };
}

type Bytes4 = [Uint8Array, Uint8Array, Uint8Array, Uint8Array];

/** ts[0], ts[1] and ts[2], each with its key ‖ iv. */
function traffic(first: Uint8Array): object[] {
  const second = nextTrafficSecret(backend, first);
  return [first, second, nextTrafficSecret(backend, second)].map((trafficSecretN) => ({
    trafficSecret: trafficSecretN,
    trafficKey: backend.hkdfExpand(trafficSecretN, ascii("sealrpc1 key"), 44),
  }));
}

function seal(suite: SuiteId, hs: Uint8Array, aad: Uint8Array, plaintext: Uint8Array): Uint8Array {
  const sealed = new Uint8Array(plaintext.length + 16);
  backend
    .aead(suiteOf(suite).aead, hs.subarray(0, 32))
    .seal(hs.subarray(32), plaintext, sealed, aad);
  return sealed;
}
