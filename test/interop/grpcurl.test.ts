/** grpcurl, unmodified, through the sidecar, with the reflection of the enclave. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { NotaryWay } from "../support/notary-way.ts";
import { type Finished, RunningProgram } from "../support/processes.ts";
import { repositoryRoot } from "../support/repository.ts";

const SERVICE = "notary.v1.NotaryService";
const grpcurl = join(repositoryRoot, ".cache", "interop", "grpcurl-v1.9.4", "grpcurl");
const absent = existsSync(grpcurl)
  ? false
  : "grpcurl is not there: npm run test:interop installs it where Go is";

describe("grpcurl through the sidecar", { timeout: 60_000, skip: absent }, () => {
  let way: NotaryWay;
  let sidecar: RunningProgram;
  let address: string;
  before(async () => {
    way = await NotaryWay.start({ enclaveFlags: ["--reflection"] });
    const listen = ["--listen", `unix:${join(way.folder, "sidecar.sock")}`];
    const to = ["--target", way.target, "--policy", way.policyFile];
    sidecar = new RunningProgram("cli/main.js", { args: ["sidecar", ...listen, ...to] });
    await sidecar.says(/"msg":"listening"/);
    address = join(way.folder, "sidecar.sock");
  });
  after(async () => {
    await sidecar.stop("SIGKILL");
    await way.close();
  });

  const run = async (...args: string[]): Promise<Pick<Finished, "status" | "stdout" | "stderr">> =>
    new Promise((resolve) => {
      execFile(grpcurl, ["-plaintext", "-unix", ...args], (error, stdout, stderr) => {
        const status = error === null ? 0 : typeof error.code === "number" ? error.code : null;
        resolve({ status, stdout, stderr });
      });
    });
  const digest = (text: string): string =>
    JSON.stringify({ sha256: createHash("sha256").update(text).digest("base64") });

  it("lists and describes", async () => {
    const list = await run(address, "list");
    assert.equal(list.stdout, `grpc.health.v1.Health\n${SERVICE}\n`, list.stderr);
    const { stdout } = await run(address, "describe", `${SERVICE}.SignDigest`);
    assert.match(stdout, /rpc SignDigest \( \.notary\.v1\.SignDigestRequest \)/);
  });

  it("makes calls of all four kinds", async () => {
    const unary = await run("-d", digest("a"), address, `${SERVICE}/SignDigest`);
    assert.equal(unary.status, 0, unary.stderr);
    assert.match(unary.stdout, /"signature": "/);
    const parts = '{"name": "a.txt", "data": "aGVs"}{"data": "bG8="}';
    const upload = await run("-d", parts, address, `${SERVICE}/UploadDocument`);
    assert.match(upload.stdout, /"size": "5"/, upload.stderr);
    const list = await run(address, `${SERVICE}/ListReceipts`);
    assert.match(list.stdout, /"name": "a\.txt"/, list.stderr);
    const many = await run("-d", digest("a") + digest("b"), address, `${SERVICE}/SignMany`);
    assert.match(many.stdout, /("signature"[^]*){2}/, many.stderr);
  });

  it("exits with the status, as sealrpc call does", async () => {
    const request = ["-d", '{"sha256": "AA=="}'];
    const { status, stderr } = await run(...request, address, `${SERVICE}/SignDigest`);
    const args = ["call", way.target, `${SERVICE}/SignDigest`, "--policy", way.policyFile];
    const own = await new RunningProgram("cli/main.js", { args: [...args, ...request] }).finished;
    assert.equal(status, 64 + 3, stderr);
    assert.equal(own.status, status);
    assert.match(stderr, /InvalidArgument[^]*sha256: expected 32 bytes/);
  });

  it("shows which enclave answered", async () => {
    const { stdout } = await run("-v", address, `${SERVICE}/GetPublicKey`);
    assert.match(stdout, /sealrpc-module-id: i-[0-9a-f]{17}-enc/);
    assert.match(stdout, /sealrpc-pcr0: [0-9a-f]{96}/);
  });
});
