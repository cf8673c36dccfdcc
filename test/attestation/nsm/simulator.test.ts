import assert from "node:assert/strict";
import { createHash, createPublicKey, verify, X509Certificate } from "node:crypto";
import { describe, it } from "node:test";
import { Decoder } from "cbor-x/decode";
import { encodeRequest } from "../../../attestation/nsm/request.ts";
import { decodeResponse } from "../../../attestation/nsm/response.ts";
import { Simulator, type SimulatorOptions } from "../../../attestation/nsm/simulator.ts";

const HOUR_MS = 3_600_000;
const decoder = new Decoder({ mapsAsObjects: false, useRecords: false });

/** What a document holds, read without the verifier. */
function open(document: Uint8Array) {
  const [header, , payload, signature] = decoder.decode(document) as Uint8Array[];
  assert.ok(header && payload && signature);
  const fields = decoder.decode(payload) as Map<string, unknown>;
  const bundle = fields.get("cabundle") as Uint8Array[];
  const chain = [...bundle, fields.get("certificate") as Uint8Array].map(
    (der) => new X509Certificate(der),
  );
  const pcrs = fields.get("pcrs") as Map<number, Uint8Array>;
  return {
    header,
    payload,
    signature,
    fields,
    chain,
    pcrs,
    timestamp: Number(fields.get("timestamp")),
  };
}

async function attested(options: SimulatorOptions = {}, request = {}) {
  const simulator = await Simulator.create(options);
  return { simulator, ...open(await simulator.attest(request)) };
}

function hex(bytes: unknown): string {
  return Buffer.from(bytes as Uint8Array).toString("hex");
}

function sha384(...parts: Uint8Array[]): string {
  const hash = createHash("sha384");
  parts.forEach((part) => hash.update(part));
  return hash.digest("hex");
}

describe("a simulated document", () => {
  it("starts as the hardware's do: untagged, ES384, nothing unprotected, indefinite map", async () => {
    const simulator = await Simulator.create();
    const document = await simulator.attest({});
    assert.match(hex(document), /^8444a1013822a059....bf/);
  });

  it("has a definite outer map where that is asked for", async () => {
    const simulator = await Simulator.create({ outerMap: "definite" });
    assert.match(hex(await simulator.attest({})), /^8444a1013822a059....a9/);
  });

  it("keeps AWS's order of fields, with null for what was not given", async () => {
    const { fields } = await attested({}, { nonce: Uint8Array.of(1, 2) });
    assert.deepEqual(
      [...fields.keys()],
      [
        "module_id",
        "digest",
        "timestamp",
        "pcrs",
        "certificate",
        "cabundle",
        "public_key",
        "user_data",
        "nonce",
      ],
    );
    assert.equal(fields.get("public_key"), null);
    assert.equal(fields.get("user_data"), null);
    assert.equal(hex(fields.get("nonce")), "0102");
  });

  it("carries each of the three fields where it belongs", async () => {
    const request = {
      publicKey: Uint8Array.of(1),
      userData: new Uint8Array(1024),
      nonce: new Uint8Array(),
    };
    const { fields } = await attested({}, request);
    assert.equal(hex(fields.get("public_key")), "01");
    assert.equal(hex(fields.get("user_data")), "00".repeat(1024));
    assert.equal(hex(fields.get("nonce")), "");
  });

  it("is signed by its leaf over the COSE structure", async () => {
    const { header, payload, signature, chain } = await attested();
    const signed = Buffer.concat([
      Buffer.from("846a5369676e617475726531", "hex"),
      Buffer.from([0x40 + header.length]),
      header,
      Buffer.from([0x40, 0x59, payload.length >> 8, payload.length & 0xff]),
      payload,
    ]);
    const key = createPublicKey(
      chain.at(-1)?.publicKey.export({ type: "spki", format: "pem" }) ?? "",
    );
    assert.ok(verify("sha384", signed, { key, dsaEncoding: "ieee-p1363" }, signature));
  });

  it("ends a chain of five, each signed by the one above, under the simulator's root", async () => {
    const { simulator, chain } = await attested();
    assert.equal(chain.length, 5);
    assert.equal(chain[0]?.toString(), simulator.rootPem);
    chain.forEach((certificate, depth) => {
      const issuer = chain[Math.max(0, depth - 1)] as X509Certificate;
      assert.ok(certificate.verify(issuer.publicKey) && certificate.checkIssued(issuer));
      assert.equal(certificate.ca, depth < 4);
    });
  });

  it("names the root and every subject as simulated, and the leaf after the module", async () => {
    const { simulator, chain } = await attested({ region: "eu-west-1" });
    assert.equal(chain[0]?.subject, "O=sealrpc simulator\nCN=sealrpc simulator root");
    assert.ok(chain.every(({ subject }) => subject.startsWith("O=sealrpc simulator\n")));
    assert.equal(chain[4]?.subject.split("CN=")[1], `${simulator.moduleId}.eu-west-1.aws`);
  });

  it("derives PCR4 from the instance and zeroes the registers nobody set", async () => {
    const moduleId = "i-0123456789abcdef0-enc0123456789abcdef";
    const { pcrs } = await attested({ moduleId });
    assert.equal(hex(pcrs.get(4)), sha384(new Uint8Array(48), Buffer.from("i-0123456789abcdef0")));
    assert.deepEqual(
      [...pcrs.keys()],
      Array.from({ length: 16 }, (_, index) => index),
    );
    for (const index of [3, 5, 6, 7, 8, 9, 15]) {
      assert.equal(hex(pcrs.get(index)), "00".repeat(48));
    }
    for (const index of [0, 1, 2]) {
      assert.notEqual(hex(pcrs.get(index)), "00".repeat(48));
    }
  });

  it("states given registers, in debug mode only those that hardware would", async () => {
    const pcrs = { 0: "a0".repeat(48), 3: new Uint8Array(48).fill(3), 8: "08".repeat(48) };
    const plain = await attested({ pcrs });
    assert.equal(hex(plain.pcrs.get(0)), "a0".repeat(48));
    assert.equal(hex(plain.pcrs.get(3)), "03".repeat(48));
    assert.equal(hex(plain.pcrs.get(8)), "08".repeat(48));
    const debug = await attested({ pcrs, debug: true });
    for (const index of [0, 1, 2, 8]) {
      assert.equal(hex(debug.pcrs.get(index)), "00".repeat(48));
    }
    assert.equal(hex(debug.pcrs.get(3)), "03".repeat(48));
    assert.notEqual(hex(debug.pcrs.get(4)), "00".repeat(48));
  });

  it("says in its policy options what its documents say", async () => {
    const { simulator, pcrs } = await attested();
    assert.deepEqual(simulator.policyOptions(), {
      referenceValues: [{ pcr0: hex(pcrs.get(0)), pcr1: hex(pcrs.get(1)), pcr2: hex(pcrs.get(2)) }],
      insecureTestRoot: simulator.rootPem,
    });
  });
});

describe("the life of a simulated chain", () => {
  const start = Date.UTC(2026, 0, 1, 0, 0, 0, 500);

  it("gives every document certificates that hold for another quarter of an hour", async () => {
    let now = start;
    const simulator = await Simulator.create({ now: () => now });
    const leaves = new Set<string>();
    for (; now < start + 60 * 24 * HOUR_MS; now += 7.3 * HOUR_MS) {
      const { chain, timestamp } = open(await simulator.attest({}));
      assert.equal(timestamp, Math.floor(now));
      chain.forEach((certificate, depth) => {
        assert.ok(Date.parse(certificate.validFrom) <= now);
        assert.ok(Date.parse(certificate.validTo) >= now + HOUR_MS / 4);
        const issuer = chain[Math.max(0, depth - 1)] as X509Certificate;
        assert.ok(Date.parse(certificate.validTo) <= Date.parse(issuer.validTo));
      });
      leaves.add(chain[4]?.serialNumber ?? "");
    }
    assert.equal(leaves.size, Math.ceil((60 * 24) / 7.3));
  });

  it("keeps a leaf for its three hours, backdated by three seconds", async () => {
    let now = start;
    const simulator = await Simulator.create({ now: () => now });
    const first = open(await simulator.attest({})).chain[4];
    assert.equal(Date.parse(first?.validFrom ?? ""), start - 500 - 3000);
    assert.equal(Date.parse(first?.validTo ?? ""), start - 500 + 3 * HOUR_MS);
    now += 2.74 * HOUR_MS;
    assert.equal(open(await simulator.attest({})).chain[4]?.serialNumber, first?.serialNumber);
    now += 0.02 * HOUR_MS;
    assert.notEqual(open(await simulator.attest({})).chain[4]?.serialNumber, first?.serialNumber);
  });

  it("makes new certificates when its clock is set back", async () => {
    let now = start;
    const simulator = await Simulator.create({ now: () => now });
    now -= 5 * HOUR_MS;
    const { chain } = open(await simulator.attest({}));
    assert.ok(Date.parse(chain[4]?.validFrom ?? "") <= now);
  });
});

describe("a simulated module", () => {
  it("describes itself", async () => {
    const simulator = await Simulator.create();
    assert.deepEqual(await simulator.nsm.describe(), {
      version: [1, 0, 0],
      moduleId: simulator.moduleId,
      maxPcrs: 32,
      lockedPcrs: Array.from({ length: 16 }, (_, index) => index),
    });
  });

  it("gives 256 random bytes a call", async () => {
    const { nsm } = await Simulator.create();
    const [first, second] = [await nsm.random(), await nsm.random()];
    assert.equal(first.length, 256);
    assert.notEqual(hex(first), hex(second));
  });

  it("extends a free register by the rule, until it is locked", async () => {
    const { nsm } = await Simulator.create();
    const data = Buffer.from("measured at run time");
    const once = sha384(new Uint8Array(48), data);
    assert.equal(hex(await nsm.extendPcr(16, data)), once);
    const twice = sha384(Buffer.from(once, "hex"), data);
    assert.equal(hex(await nsm.extendPcr(16, data)), twice);
    await nsm.lockPcr(16);
    const { locked, value } = await nsm.pcr(16);
    assert.deepEqual([locked, hex(value)], [true, twice]);
    await assert.rejects(nsm.extendPcr(16, data), { code: "nsm-unavailable", message: /ReadOnly/ });
    await assert.rejects(nsm.lockPcr(16), { code: "nsm-unavailable", message: /ReadOnly/ });
  });

  it("shows a free register in documents only when it is locked", async () => {
    const simulator = await Simulator.create();
    await simulator.nsm.extendPcr(31, Uint8Array.of(1));
    assert.ok(!open(await simulator.attest({})).pcrs.has(31));
    await simulator.nsm.lockPcr(31);
    assert.ok(open(await simulator.attest({})).pcrs.has(31));
  });

  it("lets nobody change the registers of the image", async () => {
    const { nsm } = await Simulator.create();
    for (const index of [0, 4, 15]) {
      await assert.rejects(nsm.extendPcr(index, Uint8Array.of(1)), { message: /ReadOnlyIndex/ });
      await assert.rejects(nsm.lockPcr(index), { message: /ReadOnlyIndex/ });
    }
  });

  it("locks all registers below a range", async () => {
    const simulator = await Simulator.create();
    const lock = (range: number) => simulator.answer(encodeRequest({ name: "LockPCRs", range }));
    decodeResponse("LockPCRs", await lock(20));
    const { lockedPcrs } = await simulator.nsm.describe();
    assert.deepEqual(lockedPcrs.slice(15), [15, 16, 17, 18, 19]);
    const refusal = await lock(33);
    assert.throws(() => decodeResponse("LockPCRs", refusal), { message: /InvalidIndex/ });
    decodeResponse("LockPCRs", await lock(32));
    assert.equal((await simulator.nsm.describe()).lockedPcrs.length, 32);
  });

  it("refuses what is no request, and goes on", async () => {
    const simulator = await Simulator.create();
    const refusal = async (request: Uint8Array) => {
      const response = await simulator.answer(request);
      assert.throws(
        () => decodeResponse("GetRandom", response),
        (error: Error) => {
          refusals.push(error.message);
          return true;
        },
      );
    };
    const refusals: string[] = [];
    await refusal(Uint8Array.of(0xff));
    await refusal(new Uint8Array(4097));
    assert.match(refusals[0] ?? "", /"InvalidArgument"/);
    assert.match(refusals[1] ?? "", /"InputTooLarge"/);
    assert.equal((await simulator.nsm.random()).length, 256);
  });

  it("knows 32 registers", async () => {
    const { nsm } = await Simulator.create();
    assert.equal((await nsm.pcr(31)).locked, false);
    await assert.rejects(nsm.pcr(32), { message: /InvalidIndex/ });
    await assert.rejects(nsm.extendPcr(32, Uint8Array.of(1)), { message: /InvalidIndex/ });
    await assert.rejects(nsm.lockPcr(32), { message: /InvalidIndex/ });
  });

  it("refuses a field over 1024 bytes", async () => {
    const simulator = await Simulator.create();
    for (const field of ["publicKey", "userData", "nonce"]) {
      await assert.rejects(simulator.attest({ [field]: new Uint8Array(1025) }), {
        code: "nsm-unavailable",
        message: /InputTooLarge/,
      });
    }
  });

  it("answers one request after the other when they take time", async (t) => {
    const simulator = await Simulator.create({ latencyMs: 5 });
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const order: number[] = [];
    const all = [0, 1, 2].map(async (index) => {
      await simulator.nsm.random();
      order.push(index);
    });
    for (const answered of [[], [0], [0, 1], [0, 1, 2]]) {
      await new Promise(setImmediate);
      assert.deepEqual(order, answered);
      t.mock.timers.tick(5);
    }
    await Promise.all(all);
  });

  it("refuses after close, also what waited", async () => {
    const simulator = await Simulator.create({ latencyMs: 1 });
    const waiting = simulator.attest({});
    await simulator.close();
    await assert.rejects(waiting, { code: "nsm-unavailable" });
    await assert.rejects(simulator.attest({}), { code: "nsm-unavailable" });
  });

  it("refuses options of another form", async () => {
    for (const options of [
      { moduleId: "i-0123456789abcdef0" },
      { region: "us east" },
      { pcrs: { 0: "00" } },
      { pcrs: { 0: "zz".repeat(48) } },
      { pcrs: { 8: new Uint8Array(47) } },
    ]) {
      await assert.rejects(Simulator.create(options), RangeError);
    }
  });
});
