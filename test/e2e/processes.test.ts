import assert from "node:assert/strict";
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import * as grpc from "@grpc/grpc-js";
import { NotaryService } from "#gen/notary/v1/notary_pb.js";
import {
  AttestedChannel,
  type CallError,
  type Client,
  createClient,
  type PolicyOptions,
} from "../../services/client/index.ts";
import { NotaryWay } from "../support/notary-way.ts";
import { RunningProgram } from "../support/processes.ts";

type Notary = Client<typeof NotaryService>;

/** An upload that stays open until it is released. */
function heldUpload(notary: Notary): {
  release: () => void;
  receipt: ReturnType<Notary["uploadDocument"]>;
} {
  let release = (): void => {};
  const released = new Promise<void>((resolve) => (release = resolve));
  async function* parts(): AsyncGenerator<{ name: string; data: Uint8Array }> {
    yield { name: "held", data: new Uint8Array(10) };
    await released;
    yield { name: "held", data: new Uint8Array(10) };
  }
  return { release, receipt: notary.uploadDocument(parts()) };
}

describe("enclave, proxy and client as processes", { timeout: 120_000 }, () => {
  let way: NotaryWay;
  let file: string;
  before(async () => {
    way = await NotaryWay.start();
    file = join(way.folder, "letter.txt");
    writeFileSync(file, "A letter.\n".repeat(1000));
  });
  after(async () => way.close());

  const channelOf = (): AttestedChannel =>
    new AttestedChannel(way.target, {
      policy: JSON.parse(readFileSync(way.policyFile, "utf8")) as PolicyOptions,
    });

  it("notarize a file, and the client ends by itself", async () => {
    const { status, stdout, stderr } = await way.client(file).finished;
    assert.equal(stderr, "");
    assert.equal(status, 0);
    assert.match(stdout, /receipt 1, sha256 [0-9a-f]{64}/);
  });

  it("log nothing of what they carry", async () => {
    await way.client(file).finished;
    for (const { stderr, stdout } of [way.enclave, way.proxy]) {
      assert.doesNotMatch(stdout + stderr, /letter|notary\.v1|Upload/);
    }
  });

  it("say loudly that the enclave is simulated", () => {
    assert.match(way.enclave.stderr, /SIMULATED/);
  });

  it("end a call that ran when the enclave was killed, as one that may have run", async () => {
    const channel = channelOf();
    const notary = createClient(NotaryService, channel);
    await notary.getPublicKey({});
    const { receipt } = heldUpload(notary);
    // Answered on the same session, so the upload has been sealed and sent before.
    await notary.getPublicKey({});
    const lost = assert.rejects(receipt, (error: CallError) => {
      assert.equal(error.code, grpc.status.UNAVAILABLE);
      assert.equal(error.outcome, "unknown");
      return true;
    });
    await way.enclave.stop("SIGKILL");
    await lost;
    channel.close();
  });

  it("refuse, and do not retry, an enclave that started anew under another root", async () => {
    const oldPolicy = join(way.folder, "old-policy.json");
    copyFileSync(way.policyFile, oldPolicy);
    await way.restartEnclave();
    const refused = await way.client(file, oldPolicy).finished;
    assert.equal(refused.status, 1);
    assert.match(refused.stderr, /UNAUTHENTICATED.*\[untrusted-chain\]/);
    const { status, stderr } = await way.client(file).finished;
    assert.equal(status, 0, stderr);
  });

  it("finish what runs when the enclave and the proxy are told to stop", async () => {
    const channel = channelOf();
    const notary = createClient(NotaryService, channel);
    await notary.getPublicKey({});
    const { release, receipt } = heldUpload(notary);
    await notary.getPublicKey({});
    const stopped = [way.proxy.stop("SIGTERM"), way.enclave.stop("SIGTERM")];
    await way.proxy.says(/draining/);
    release();
    assert.equal((await receipt).receipt?.size, 20n);
    channel.close();
    for (const { status } of await Promise.all(stopped)) assert.equal(status, 0);
  });
});

describe("the notary's programs", { timeout: 60_000 }, () => {
  const run = (script: string, ...args: string[]) => new RunningProgram(script, { args }).finished;

  it("attest with hardware unless the simulator is named", async () => {
    const { status, stderr } = await run("examples/notary/enclave.js", "--listen", "127.0.0.1:0");
    assert.match(stderr, /notary: /);
    assert.doesNotMatch(stderr, /listening|SIMULATED/);
    assert.equal(status, 1);
  });

  it("refuse an attester that does not exist, and a policy of the hardware", async () => {
    for (const flags of [
      ["--attester", "magic"],
      ["--attester", "nsm", "--write-policy", "policy.json"],
    ]) {
      const args = ["--listen", "127.0.0.1:0", ...flags];
      const { status, stderr } = await run("examples/notary/enclave.js", ...args);
      assert.match(stderr, /--attester|--write-policy/);
      assert.equal(status, 1);
    }
  });

  it("print how the client is used", async () => {
    const { status, stderr } = await run("examples/notary/client.js");
    assert.match(stderr, /^usage: /);
    assert.equal(status, 1);
  });
});
