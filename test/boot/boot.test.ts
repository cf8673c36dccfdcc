import assert from "node:assert/strict";
import { createHash, verify } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { Client, credentials } from "@grpc/grpc-js";
import { NotaryService } from "#gen/notary/v1/notary_pb.js";
import { AttestedChannel, createClient } from "../../services/client/index.ts";
import { temporaryFolder } from "../support/folder.ts";
import { runProgram } from "../support/processes.ts";
import { bootService } from "./boot-service.ts";
import { Enclave } from "./enclave.ts";
import { buildImage, type Image, stageProject } from "./image.ts";
import { Ledger } from "./ledger.ts";
import { Load } from "./load.ts";
import { bootPrograms, skip } from "./programs.ts";

const MIB = 1024 * 1024;
/** Ten times what it takes. */
const LIMIT_MS = 1_200_000;
/** For a busy machine: an emulated processor is slow. */
const PATIENCE_MS = 120_000;
/** Of a call that had run and was not answered when the enclave was killed: outcome, code, how often. */
const HELD = ["unknown", "truncated", 1];

describe("enclaves that boot", { skip, timeout: LIMIT_MS }, () => {
  const folder = temporaryFolder("boot");
  const place = (name: string): string => join(folder.path, name);
  const ledger = new Ledger();
  let notaryImage: Image;
  let notary: Enclave;
  let ledgerImage: Image;
  let other: Enclave;

  before(async () => {
    const programs = bootPrograms();
    const project = stageProject(place("project"));
    notaryImage = await buildImage(place("notary-image"), project, programs, {
      script: "examples/notary/enclave.js",
      args: ["--listen", "vsock:any:5000"],
    });
    const [first, second] = [place("16.vsock"), place("17.vsock")];
    notary = await Enclave.start({ image: notaryImage, cid: 16, vsockPath: first, programs });
    ledgerImage = await buildImage(place("ledger-image"), project, programs, {
      script: "test/boot/ledger-main.js",
    });
    await ledger.listen(second);
    other = await Enclave.start({ image: ledgerImage, cid: 17, vsockPath: second, programs });
    await Promise.all([notary.ready(), other.ready()]);
  });

  after(async () => {
    await Promise.all([notary?.close(), other?.close()]);
    await ledger.close();
  });

  const policyFile = (name: string, policy: object): string =>
    folder.write(`${name}.json`, JSON.stringify(policy));
  const attest = async ({ target }: Enclave, policy: string) => {
    const options = ["--policy", policy, "--timeout", `${PATIENCE_MS}`, "--json"];
    return runProgram("cli/main.js", "attest", target, ...options);
  };

  it("sends the heartbeat, and starts the application when it comes back", () => {
    assert.equal(notary.heartbeat.count, 1);
    assert.doesNotMatch(notary.console, /heartbeat/);
  });

  it("proves to be the image that was built: PCR0, PCR1, PCR2", async () => {
    const { status, stdout, stderr } = await attest(notary, policyFile("notary", notary.policy));
    assert.equal(status, 0, stderr);
    assert.deepEqual(measured(stdout), notaryImage.measurements);
  });

  it("runs what was measured", () => {
    const { kernel, commandLine, ramdisks, measurements } = notaryImage;
    const parts = [readFileSync(kernel), Buffer.from(commandLine), readFileSync(ramdisks)];
    const digest = createHash("sha384").update(Buffer.concat(parts)).digest();
    const pcr0 = createHash("sha384").update(Buffer.alloc(48)).update(digest).digest("hex");
    assert.equal(pcr0, measurements.pcr0);
    assert.ok(notary.console.includes(`Command line: ${commandLine} `));
  });

  it("stands beside a second enclave, which proves to be another image", async () => {
    const { status, stdout, stderr } = await attest(other, policyFile("other", other.policy));
    assert.equal(status, 0, stderr);
    assert.deepEqual(measured(stdout), ledgerImage.measurements);
    // Kernel and bootstrap are the same, the application is not.
    assert.equal(ledgerImage.measurements.pcr1, notaryImage.measurements.pcr1);
    assert.notEqual(ledgerImage.measurements.pcr2, notaryImage.measurements.pcr2);
  });

  it("is refused as a wrong image, with the measurements that differ", async () => {
    const wrong = { ...other.policy, referenceValues: notary.policy.referenceValues ?? [] };
    const { status, stdout } = await attest(other, policyFile("wrong", wrong));
    assert.equal(status, 1);
    const { code, message } = JSON.parse(stdout) as { code: string; message: string };
    assert.equal(code, "measurement-mismatch");
    const { pcr0, pcr2 } = notaryImage.measurements;
    assert.match(
      message,
      new RegExp(`PCR0 expected ${pcr0}, received ${ledgerImage.measurements.pcr0}`),
    );
    assert.match(
      message,
      new RegExp(`PCR2 expected ${pcr2}, received ${ledgerImage.measurements.pcr2}`),
    );
    assert.doesNotMatch(message, /PCR1/);
  });

  it("answers calls of all four kinds", async () => {
    const document = folder.write("document.txt", Buffer.alloc(20_000, "sealed "));
    const policy = policyFile("notary", notary.policy);
    const { status, stdout, stderr } = await runProgram(
      "examples/notary/client.js",
      "--target",
      notary.target,
      "--policy",
      policy,
      document,
    );
    assert.equal(status, 0, stderr);
    for (const kind of ["unary", "client streaming", "server streaming", "bidirectional"]) {
      assert.match(stdout, new RegExp(kind));
    }
  });

  it("answers 200 calls at once, each with its own answer", async () => {
    const channel = new AttestedChannel(notary.target, { policy: notary.policy });
    const client = createClient(NotaryService, channel);
    const { pem } = await client.getPublicKey({});
    const digests = Array.from({ length: 200 }, (_, i) => sha256(Buffer.from(`document ${i}`)));
    const answers = await Promise.all(
      digests.map(async (digest) => client.signDigest({ sha256: digest })),
    );
    channel.close();
    answers.forEach(({ signature }, i) => {
      assert.ok(verify("sha256", digests[i] ?? Buffer.alloc(0), pem, signature));
    });
  });

  it("carries 8 MiB each way", async () => {
    const channel = new AttestedChannel(other.target, { policy: other.policy });
    const client = new Client(channel.getTarget(), credentials.createInsecure(), {
      channelOverride: channel,
    });
    const { path, requestSerialize, responseDeserialize } = bootService.echo;
    const call = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize);
    const received = createHash("sha256");
    let bytes = 0;
    call.on("data", (part: Buffer) => {
      received.update(part);
      bytes += part.length;
    });
    const sent = createHash("sha256");
    for (let i = 0; i < 128; i++) {
      const part = Buffer.alloc(MIB / 16, `part ${i}, `);
      sent.update(part);
      if (!call.write(part)) await once(call, "drain");
    }
    call.end();
    await once(call, "end");
    client.close();
    assert.equal(bytes, 8 * MIB);
    assert.equal(received.digest("hex"), sent.digest("hex"));
  });

  it("is killed and boots again under load: outcomes are true, nothing runs twice", async () => {
    const channel = new AttestedChannel(other.target, { policy: other.policy });
    const load = new Load(channel, 32);
    await until(other, () => load.answered >= 200);
    // Of every second caller, a call has run and is not answered at the moment of the kill.
    ledger.holds = (key) => Number(key.split("-")[0]) % 2 === 0;
    await until(other, () => ledger.held.length === 16);
    await other.kill();
    ledger.holds = () => false;
    other.boot();
    const answered = load.answered;
    await until(other, () => load.answered >= answered + 200);
    await load.stop();
    channel.close();

    const runs = new Map<string, number>();
    for (const key of ledger.entries) runs.set(key, (runs.get(key) ?? 0) + 1);
    for (const { key, outcome, errorCode, details } of load.ended) {
      const ran = runs.get(key) ?? 0;
      const text = `${key}: ${outcome} ${errorCode} ${details}, ran ${ran} times`;
      if (ledger.held.includes(key)) assert.deepEqual([outcome, errorCode, ran], HELD, text);
      else if (outcome === "executed") assert.equal(ran, 1, text);
      else if (outcome === "not-executed") assert.equal(ran, 0, text);
      else assert.ok(outcome === "unknown" && ran <= 1, text);
      runs.delete(key);
    }
    assert.deepEqual([...runs.keys()], [], "keys that nobody called");
  });
});

function measured(json: string): Image["measurements"] {
  const { pcrs } = JSON.parse(json) as { pcrs: Readonly<Record<string, string>> };
  return { pcr0: pcrs["0"] ?? "", pcr1: pcrs["1"] ?? "", pcr2: pcrs["2"] ?? "" };
}

function sha256(bytes: Uint8Array): Uint8Array {
  return createHash("sha256").update(bytes).digest();
}

/** Waits, for as long as the enclave runs. */
async function until(enclave: Enclave, isSo: () => boolean): Promise<void> {
  const ended = enclave.ended();
  ended.catch(() => {});
  while (!isSo()) {
    const look = new Promise((resolve) => {
      setTimeout(resolve, 20);
    });
    await Promise.race([look, ended]);
  }
}
