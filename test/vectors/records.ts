/** records.json: rows of records, and what a broken peer may send instead. */
import { recordNonce, trafficKey } from "../../channel/key-schedule.ts";
import { concat } from "../../channel/notation.ts";
import type { Padding } from "../../channel/padding.ts";
import { MAX_RECORD_BYTES, Sealer, type RecordType } from "../../channel/record.ts";
import { SUITE_IDS, type SuiteId } from "../../channel/suite.ts";
import { nodeBackend as backend } from "../../crypto/node.ts";
import { seededBytes } from "../support/seeded-backend.ts";
import type { VectorCase, VectorFile } from "./vector-file.ts";

/** PING, as any frames would do. */
const PING = Uint8Array.of(7, 0, 0, 0, 0, 0, 0, 0, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8);
const NOTHING = new Uint8Array(0);

export function recordVectors(): VectorFile {
  return {
    description:
      "Records of one direction, in order, from ts[0]. `nowMs` is when a record arrives, 0 when absent, with the key in use from 0. The last record is the one that must end as expected. `counter` cases stand alone, under the key of ts[0]",
    spec: "§7",
    cases: [
      ...SUITE_IDS.map(goodRow),
      ...SUITE_IDS.map((suite) => atCounter(suite, 2 ** 32)),
      ...badRows(),
    ],
  };
}

function goodRow(suite: SuiteId): VectorCase {
  const secret = seededBytes(backend, `records ${suite}`)(32);
  const row: readonly [RecordType, Uint8Array, Padding][] = [
    ["frames", PING, "none"],
    ["frames", NOTHING, "none"],
    ["key-update", NOTHING, "none"],
    ["frames", PING, "none"],
    ["key-update", PING, "none"],
    ["frames", PING, "none"],
    ["end", NOTHING, "none"],
  ];
  const sealer = new Sealer({ backend, suite, secret: secret.slice(), padding: "none", nowMs: 0 });
  const records = row.map(([type, content]) => {
    const record = sealer.seal(type, content);
    return { type, content, record };
  });
  const name = `suite ${suite}: counters 0 and 1, two key updates, end`;
  return { name, expect: "ok", suite, secret, records };
}

/** A record whose counter no session reaches in a test. */
function atCounter(suite: SuiteId, counter: number): VectorCase {
  const secret = seededBytes(backend, `counter ${suite}`)(32);
  const plaintext = concat(PING, Uint8Array.of(1));
  const record = forge(suite, secret, counter, plaintext);
  return {
    name: `suite ${suite}: counter 2^32`,
    expect: "ok",
    suite,
    secret,
    counter,
    plaintext,
    record,
  };
}

function badRows(): VectorCase[] {
  const secret = seededBytes(backend, "bad records")(32);
  const at = (counter: number, ...plaintext: readonly number[]): { record: Uint8Array } => ({
    record: forge(1, secret, counter, Uint8Array.from(plaintext)),
  });
  const good = at(0, ...PING, 1);
  const flipped = (index: number): { record: Uint8Array } => ({
    record: good.record.map((byte, i) => (i === index ? byte ^ 0x80 : byte)),
  });
  const rows: readonly [string, string, readonly object[]][] = [
    ["zeros only", "malformed-record", [at(0, 0, 0, 0)]],
    ["type 5", "malformed-record", [at(0, ...PING, 5)]],
    ["an alert of one byte", "malformed-record", [at(0, 6, 4)]],
    ["an alert of three bytes", "malformed-record", [at(0, 0, 6, 0, 4)]],
    ["a record after end", "malformed-record", [at(0, 2), at(1, ...PING, 1)]],
    ["a record after an alert", "malformed-record", [at(0, 0, 6, 4), at(1, ...PING, 1)]],
    ["a flipped bit of the ciphertext", "authentication-failed", [flipped(0)]],
    ["a flipped bit of the tag", "authentication-failed", [flipped(PING.length + 1)]],
    ["a byte less", "authentication-failed", [{ record: good.record.subarray(0, -1) }]],
    ["16 bytes", "authentication-failed", [at(0)]],
    ["no byte", "authentication-failed", [{ record: NOTHING }]],
    ["the first record twice", "authentication-failed", [good, good]],
    ["the second record first", "authentication-failed", [at(1, ...PING, 1)]],
    ["no change of key after key_update", "authentication-failed", [at(0, 3), at(1, ...PING, 1)]],
    ["a key of 20 minutes", "key-limit", [{ ...good, nowMs: 1_200_000 }]],
    ["too many bytes", "record-too-large", [{ recordZeros: MAX_RECORD_BYTES + 1 }]],
  ];
  return rows.map(([name, expect, records]) => ({ name, expect, suite: 1, secret, records }));
}

function forge(
  suite: SuiteId,
  secret: Uint8Array,
  counter: number,
  plaintext: Uint8Array,
): Uint8Array {
  const { aead, iv } = trafficKey(backend, suite, secret);
  const record = new Uint8Array(plaintext.length + 16);
  aead.seal(recordNonce(iv, counter), plaintext, record);
  return record;
}
