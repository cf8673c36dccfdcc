/** Reads the vector files, as another implementation would, and runs each case on both backends. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import type { Established } from "../../channel/established.ts";
import { decapsulate, encapsulate, HpkeContext } from "../../channel/hpke.ts";
import {
  exporterSecret,
  exportKey,
  handshakeKey,
  nextTrafficSecret,
  recordNonce,
  trafficKey,
  trafficSecret,
} from "../../channel/key-schedule.ts";
import { openFinished, sealFinished } from "../../channel/finished.ts";
import { helloLeaf, merkleRoot, MerkleTree } from "../../channel/merkle-tree.ts";
import { encodeRecordMessage, parseOuter, RECORD_HEADROOM } from "../../channel/outer-message.ts";
import { paddedLength, type Padding } from "../../channel/padding.ts";
import { Opener, Sealer, type RecordType } from "../../channel/record.ts";
import { suiteOf, type SuiteId } from "../../channel/suite.ts";
import {
  enclaveUserData,
  hpkeInfo,
  transcript1,
  transcript2,
  transcript3,
  transcript4,
} from "../../channel/transcript.ts";
import type { CryptoBackend } from "../../crypto/backend.ts";
import { nodeBackend } from "../../crypto/node.ts";
import { portableBackend } from "../../crypto/portable.ts";
import { TERMS } from "../support/handshake-peers.ts";
import { fromHex, toHex } from "../support/hex.ts";
import { scriptedBackend } from "../support/seeded-backend.ts";
import { readVectors } from "../support/vectors.ts";
import { vectorClient } from "../vectors/handshake-client.ts";
import { vectorEnclave } from "../vectors/handshake-enclave.ts";
import { vectorFiles, vectorFolder } from "../vectors/generate.ts";
import { formatVectors } from "../vectors/vector-file.ts";

/** A case as it stands in the file: byte strings are hex. */
type Fields = Readonly<Record<string, string>>;
type Run<Case> = (backend: CryptoBackend, vector: Case) => void | Promise<void>;

/** Runs every case of a file: "ok" must pass, every other must fail with its code. */
function runs<Case>(file: string, run: Run<Case>): void {
  const { cases } = readVectors(file) as { cases: (Case & { name: string; expect: string })[] };
  describe(file, () => {
    for (const backend of [nodeBackend, portableBackend]) {
      for (const vector of cases) {
        it(`${vector.name}: ${vector.expect}, ${backend.name}`, async () => {
          if (vector.expect === "ok") return run(backend, vector);
          return assert.rejects(async () => run(backend, vector), { code: vector.expect });
        });
      }
    }
  });
}

describe("the vector files", () => {
  for (const [file, make] of Object.entries(vectorFiles)) {
    it(`hold what their generator gives: ${file}`, async () => {
      const text = readFileSync(join(vectorFolder, file), "utf8");
      assert.equal(text, formatVectors(await make()));
      assert.ok(text.length < 40_000);
    });
  }
});

interface HpkeCase extends Record<"skE" | "skR" | "pkR" | "info" | "enc" | "sharedSecret", string> {
  readonly expect: string;
  readonly exports: readonly { exporterContext: string; length: number; exported: string }[];
}
runs<HpkeCase>("hpke.json", (backend, vector) => {
  const suite = suiteOf(1);
  if (vector.expect !== "ok") {
    if (vector.enc === undefined) encapsulate(backend, suite, fromHex(vector.pkR));
    else decapsulate(backend, suite, backend.x25519(fromHex(vector.skR)), fromHex(vector.enc));
    return;
  }
  const sender = scriptedBackend(backend, [fromHex(vector.skE)]);
  const sent = encapsulate(sender, suite, fromHex(vector.pkR));
  assert.equal(toHex(sent.enc), vector.enc);
  const keyPair = backend.x25519(fromHex(vector.skR));
  const received = decapsulate(backend, suite, keyPair, fromHex(vector.enc));
  for (const secret of [sent.sharedSecret, received]) {
    assert.equal(toHex(secret), vector.sharedSecret);
    const hpke = new HpkeContext(backend, suite, secret, fromHex(vector.info));
    for (const { exporterContext, length, exported } of vector.exports) {
      assert.equal(toHex(hpke.export(fromHex(exporterContext), length)), exported);
    }
  }
});

interface MerkleCase {
  readonly hellos: string[];
  readonly leaves: string[];
  readonly root: string;
  readonly paths: string[][];
}
runs<MerkleCase>("merkle.json", (backend, { hellos, leaves, root, paths }) => {
  const ours = hellos.map((hello) => helloLeaf(backend, fromHex(hello)));
  assert.deepEqual(ours.map(toHex), leaves);
  const tree = new MerkleTree(backend, ours);
  assert.equal(toHex(tree.root), root);
  paths.forEach((path, i) => {
    assert.deepEqual(tree.path(i).map(toHex), path);
    assert.equal(toHex(merkleRoot(backend, ours[i]!, path.map(fromHex), i)), root);
  });
});

interface ScheduleCase extends Fields {
  readonly c2s: never;
  readonly s2c: never;
  readonly application: never;
}
runs<ScheduleCase>("key-schedule.json", (backend, vector) => {
  const suite = Number(vector["suite"]) as SuiteId;
  const bytes = (name: string): Uint8Array => fromHex(vector[name] ?? assert.fail(name));
  const is = (name: string, value: Uint8Array): void => assert.equal(toHex(value), vector[name]);

  is("leaf", helloLeaf(backend, bytes("clientHello")));
  is("enclaveUserData", enclaveUserData(backend, bytes("enclaveParams")));
  const th1 = transcript1(backend, {
    clientHello: bytes("clientHello"),
    enclaveParams: bytes("enclaveParams"),
    format: Number(vector["format"]),
    evidence: bytes("evidence"),
    sessionId: bytes("sessionId"),
  });
  is("th1", th1);
  is("hpkeInfo", hpkeInfo(suite, th1));
  const keyPair = backend.x25519(bytes("skR"));
  is("pkR", keyPair.publicKey);
  const sharedSecret = decapsulate(backend, suiteOf(suite), keyPair, bytes("enc"));
  is("sharedSecret", sharedSecret);
  const hpke = new HpkeContext(backend, suiteOf(suite), sharedSecret, hpkeInfo(suite, th1));
  const th2 = transcript2(backend, th1, suite, bytes("enc"));
  is("th2", th2);
  const hsC = handshakeKey(backend, suite, hpke, "c2s", th2);
  is("clientFinished", openFinished(hsC, th2, bytes("sealedC")));
  const th3 = transcript3(backend, th2, bytes("sealedC"));
  is("th3", th3);
  const hsS = handshakeKey(backend, suite, hpke, "s2c", th2);
  is("sealedS", sealFinished(hsS, th3, bytes("serverFinished")));
  const th4 = transcript4(backend, th3, bytes("sealedS"));
  is("th4", th4);
  is("exporter", exporterSecret(hpke, th4));

  for (const direction of ["c2s", "s2c"] as const) {
    let secret = trafficSecret(hpke, direction, th4);
    for (const row of vector[direction] as { trafficSecret: string; trafficKey: string }[]) {
      assert.equal(toHex(secret), row.trafficSecret);
      const key = trafficKey(backend, suite, secret);
      assert.equal(toHex(key.iv), row.trafficKey.slice(64));
      const [ours, theirs] = [new Uint8Array(20), new Uint8Array(20)];
      key.aead.seal(key.iv, new Uint8Array(4), ours);
      const { aead } = suiteOf(suite);
      const otherKey = backend.aead(aead, fromHex(row.trafficKey).subarray(0, 32));
      otherKey.seal(key.iv, new Uint8Array(4), theirs);
      assert.deepEqual(ours, theirs);
      secret = nextTrafficSecret(backend, secret);
    }
  }
  const { label, context, length, key } = vector.application as {
    label: string;
    context: string;
    length: number;
    key: string;
  };
  const exporter = exporterSecret(hpke, th4);
  const exported = exportKey(backend, exporter, fromHex(label), fromHex(context), length);
  assert.equal(toHex(exported), key);
});

type Secrets = Readonly<Record<"sendSecret" | "receiveSecret" | "exporterSecret", string>> & {
  readonly suite: number;
};

function sameSecrets(established: Established, expected: Secrets): void {
  const { suite, sendSecret, receiveSecret, exporterSecret: exporter } = established;
  const ours = { suite, sendSecret, receiveSecret, exporterSecret: exporter };
  assert.deepEqual(
    {
      ...ours,
      sendSecret: toHex(sendSecret),
      receiveSecret: toHex(receiveSecret),
      exporterSecret: toHex(exporter),
    },
    expected,
  );
}

interface ClientCase {
  readonly client: {
    readonly random: string;
    readonly skE: string;
    readonly suites: SuiteId[];
    readonly versions: number[];
    readonly initialCredit: number;
    readonly attester: boolean;
  };
  readonly hello: string;
  readonly helloReply: string;
  readonly finish?: string;
  readonly finishReply?: string;
  readonly established: Secrets;
}
runs<ClientCase>("handshake-client.json", async (backend, vector) => {
  const { client, hello, helloReply, finish, finishReply } = vector;
  const [random, skE] = [fromHex(client.random), fromHex(client.skE)];
  const handshake = vectorClient(backend, { ...client, random, skE });
  assert.equal(toHex(handshake.hello()), hello);
  assert.equal(toHex(await handshake.receiveHello(fromHex(helloReply))), finish);
  sameSecrets(handshake.receiveFinish(fromHex(finishReply ?? "")), vector.established);
});

interface EnclaveCase {
  readonly enclave: {
    readonly skR: string;
    readonly sessionId: string;
    readonly suites: SuiteId[];
    readonly appInfo: string;
    readonly clientAttestation: boolean;
  };
  readonly hello: string;
  readonly helloReply: string;
  readonly finish: string;
  readonly finishReply?: string;
  readonly established: Secrets;
}
runs<EnclaveCase>("handshake-enclave.json", async (backend, vector) => {
  const { enclave, hello, helloReply, finish, finishReply } = vector;
  const [skR, sessionId, appInfo] = [enclave.skR, enclave.sessionId, enclave.appInfo].map(fromHex);
  const batcher = vectorEnclave(backend, {
    ...enclave,
    skR: skR!,
    sessionId: sessionId!,
    appInfo: appInfo!,
  });
  const handshake = await batcher.accept(fromHex(hello));
  assert.equal(toHex(handshake.reply), helloReply);
  const answer = handshake.receiveFinish(fromHex(finish), TERMS);
  assert.equal(toHex(answer.reply), finishReply);
  // A refusal is no error of the enclave's, but its answer.
  if (answer.established === undefined) {
    throw Object.assign(new Error("refused"), { code: "caller-refused" });
  }
  sameSecrets(answer.established, vector.established);
});

interface OuterCase {
  readonly expect: string;
  readonly record: string;
  readonly message: string;
  readonly grpcMessage: string;
}
runs<OuterCase>("outer-messages.json", (_backend, vector) => {
  const { kind, body } = parseOuter(fromHex(vector.message));
  assert.equal(kind, "record");
  assert.equal(toHex(body), vector.record);
  const buffer = fromHex("00".repeat(RECORD_HEADROOM) + vector.record);
  assert.equal(toHex(encodeRecordMessage(buffer, true)), vector.grpcMessage);
  assert.equal(toHex(encodeRecordMessage(buffer, false)), vector.message);
});

interface PaddingCase {
  readonly padding: Padding;
  readonly padded: Readonly<Record<string, number>>;
}
runs<PaddingCase>("padding.json", (_backend, { padding, padded }) => {
  for (const [length, expected] of Object.entries(padded)) {
    assert.equal(paddedLength(padding, Number(length)), expected);
  }
});

interface RecordCase {
  readonly expect: string;
  readonly suite: SuiteId;
  readonly secret: string;
  readonly records?: readonly {
    readonly type: RecordType;
    readonly content: string;
    readonly record?: string;
    readonly recordZeros?: number;
    readonly nowMs?: number;
  }[];
  readonly counter: number;
  readonly plaintext: string;
  readonly record: string;
}
runs<RecordCase>("records.json", (backend, vector) => {
  const { suite, records, counter } = vector;
  if (records === undefined) {
    const { aead, iv } = trafficKey(backend, suite, fromHex(vector.secret));
    const plaintext = aead.open(recordNonce(iv, counter), fromHex(vector.record));
    assert.deepEqual(plaintext, fromHex(vector.plaintext));
    return;
  }
  const direction = { backend, suite, padding: "none", nowMs: 0 } as const;
  const opener = new Opener({ ...direction, secret: fromHex(vector.secret) });
  const sealer = new Sealer({ ...direction, secret: fromHex(vector.secret) });
  records.forEach(({ type, content, record, recordZeros = 0, nowMs = 0 }, i) => {
    const bytes = record === undefined ? new Uint8Array(recordZeros) : fromHex(record);
    const open = (): ReturnType<Opener["open"]> => opener.open(bytes, nowMs);
    // Only the last record of a bad row is bad.
    if (vector.expect !== "ok") {
      if (i === records.length - 1) open();
      else assert.doesNotThrow(open);
      return;
    }
    assert.deepEqual(open(), { type, content: fromHex(content) });
    assert.equal(toHex(sealer.seal(type, fromHex(content))), record);
  });
});
