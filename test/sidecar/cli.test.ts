import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import * as grpc from "@grpc/grpc-js";
import { RunningProgram, runProgram } from "../support/processes.ts";
import { NotaryClient } from "../../examples/notary/stub.ts";

describe("sealrpc sidecar", { timeout: 60_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), "sidecar-cli-"));
  const policyFile = join(folder, "policy.json");
  const target = `unix:${join(folder, "enclave.sock")}`;
  const flags = ["--listen", "127.0.0.1:0", "--target", target, "--policy", policyFile];
  let enclave: RunningProgram;
  before(async () => {
    enclave = new RunningProgram("examples/notary/enclave.js", {
      args: ["--listen", target, "--attester", "simulator", "--write-policy", policyFile],
    });
    await enclave.says(/listening on/);
  });
  after(async () => {
    await enclave.stop();
    rmSync(folder, { recursive: true });
  });

  it("says where it listens and which enclave it is attached to, serves, and drains", async () => {
    const sidecar = new RunningProgram("cli/main.js", { args: ["sidecar", ...flags] });
    const [, address = ""] = await sidecar.says(/"address":"([^"]+)".*"msg":"listening"/);
    await sidecar.says(/SIMULATED/);
    const { referenceValues } = JSON.parse(readFileSync(policyFile, "utf8")) as {
      referenceValues: [{ pcr0: string }];
    };
    const [{ pcr0 }] = referenceValues;
    await sidecar.says(
      new RegExp(`"moduleId":"i-[0-9a-f]+-enc[0-9a-f]+","pcr0":"${pcr0}".*attached to the enclave`),
    );
    const notary = new NotaryClient(address, grpc.credentials.createInsecure());
    const metadata = await new Promise<grpc.Metadata>((resolve, reject) => {
      notary
        .getPublicKey({}, (error) => {
          if (error !== null) reject(error);
        })
        .on("metadata", resolve);
    });
    assert.deepEqual(metadata.get("sealrpc-pcr0"), [pcr0]);
    notary.close();
    const { status } = await sidecar.stop();
    assert.equal(status, 0);
    assert.match(sidecar.stderr, /"msg":"draining".*\n.*"msg":"stopped"/);
  });

  it("reads its policy again on SIGHUP, and keeps the old one when it is none", async () => {
    const changing = join(folder, "changing.json");
    const policy = JSON.parse(readFileSync(policyFile, "utf8")) as object;
    const write = (value: object): void => writeFileSync(changing, JSON.stringify(value));
    write(policy);
    const args = ["sidecar", ...flags.slice(0, -1), changing];
    const sidecar = new RunningProgram("cli/main.js", { args });
    const [, address = ""] = await sidecar.says(/"address":"([^"]+)".*"msg":"listening"/);
    await sidecar.says(/attached to the enclave/);
    const notary = new NotaryClient(address, grpc.credentials.createInsecure());
    const call = async (): Promise<grpc.ServiceError | null> =>
      new Promise((resolve) => notary.getPublicKey({}, (error) => resolve(error)));
    write({ ...policy, referenceValues: [] });
    process.kill(sidecar.pid, "SIGHUP");
    await sidecar.says(/referenceValues.*the old one stays/);
    assert.equal(await call(), null);
    write({ ...policy, referenceValues: [{ pcr0: "ab".repeat(48) }] });
    process.kill(sidecar.pid, "SIGHUP");
    await sidecar.says(/policy read again/);
    assert.equal((await call())?.code, grpc.status.UNAUTHENTICATED);
    notary.close();
    const { status } = await sidecar.stop();
    assert.equal(status, 0);
  });

  it("opens its Unix socket to its own user only", async () => {
    const socket = join(folder, "side.sock");
    const sidecar = new RunningProgram("cli/main.js", {
      args: ["sidecar", ...flags.slice(2), "--listen", `unix:${socket}`],
    });
    await sidecar.says(/"msg":"listening"/);
    assert.equal(statSync(socket).mode & 0o777, 0o700);
    await sidecar.stop();
  });

  it("says why there is no enclave, and goes on", async () => {
    const other = join(folder, "other.json");
    writeFileSync(other, JSON.stringify({ insecureAnyMeasurement: true }));
    const sidecar = new RunningProgram("cli/main.js", {
      args: ["sidecar", ...flags.slice(0, -1), other],
    });
    await sidecar.says(/"reason":"\[untrusted-chain\].*no session with an enclave/);
    const { status } = await sidecar.stop();
    assert.equal(status, 0);
  });

  for (const [what, changed, text] of [
    ["an address of other machines", ["--listen", "0.0.0.0:0"], /insecure-listen-anywhere/],
    ["an address that is none", ["--listen", "x"], /is not an address/],
    ["half of TLS", ["--tls-cert", "c"], /--tls-cert and --tls-key go together/],
    ["half of a certificate for the target", ["--tls-target-key", "k"], /go together/],
    ["a number that is none", ["--sessions", "many"], /positive integer/],
    ["a level that is none", ["--log-level", "loud"], /debug, info, warn, silent/],
  ] as const) {
    it(`exits with 2 for ${what}`, async () => {
      const { status, stderr } = await runProgram("cli/main.js", "sidecar", ...flags, ...changed);
      assert.match(stderr, text);
      assert.equal(status, 2);
    });
  }

  it("exits with 2 for a bad policy, and with 1 when it cannot listen", async () => {
    const bad = join(folder, "bad.json");
    writeFileSync(bad, "{}");
    const refused = await runProgram("cli/main.js", "sidecar", ...flags, "--policy", bad);
    assert.match(refused.stderr, /referenceValues/);
    assert.equal(refused.status, 2);
    const address = "unix:/nowhere/x.sock";
    const unbound = await runProgram("cli/main.js", "sidecar", ...flags, "--listen", address);
    assert.match(unbound.stderr, /\[unreachable\] cannot listen/);
    assert.equal(unbound.status, 1);
  });

  it("listens anywhere when told so by name", async () => {
    const address = `vsock+uds:${join(folder, "vm.vsock")}:1`;
    const args = ["sidecar", ...flags, "--listen", address];
    const refused = await runProgram("cli/main.js", ...args);
    assert.equal(refused.status, 2);
    const sidecar = new RunningProgram("cli/main.js", {
      args: [...args, "--insecure-listen-anywhere"],
    });
    await sidecar.says(/"address":"vsock\+uds:.*"msg":"listening"/);
    await sidecar.stop();
  });

  it("shows examples in its help", async () => {
    const { status, stdout } = await runProgram("cli/main.js", "sidecar", "--help");
    assert.equal(status, 0);
    assert.match(stdout, /sealrpc sidecar --listen 127\.0\.0\.1:50051 --target/);
  });
});
