import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import * as grpc from "@grpc/grpc-js";
import { AttestedChannel, parsePolicyFile } from "../../services/client/index.ts";
import { RunningProgram, runProgram } from "../support/processes.ts";

const SAME = (bytes: Buffer): Buffer => bytes;

describe("sealrpc enclave", { timeout: 60_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), "enclave-cli-"));
  const at = (name: string): string => `unix:${join(folder, name)}`;
  const policyFile = join(folder, "policy.json");
  const flags = ["--listen", at("enclave"), "--upstream", at("app")];
  const simulated = ["--attester", "simulator", "--write-policy", policyFile];
  after(() => rmSync(folder, { recursive: true }));

  it("waits for the application, serves it, and drains on a signal", async () => {
    const enclave = new RunningProgram("cli/main.js", {
      args: ["enclave", ...flags, ...simulated],
    });
    await enclave.says(/SIMULATED/);
    await enclave.says(/"msg":"the application is away"/);
    assert.doesNotMatch(enclave.stderr, /listening/);
    const server = await startEcho(at("app"));
    await enclave.says(/"msg":"the application is there"/);
    await enclave.says(/"msg":"listening"/);
    const policy = parsePolicyFile(readFileSync(policyFile, "utf8"));
    const channel = new AttestedChannel(at("enclave"), { policy });
    const client = new grpc.Client("unused", grpc.credentials.createInsecure(), {
      channelOverride: channel,
    });
    const answer = await new Promise<Buffer | undefined>((resolve, reject) => {
      client.makeUnaryRequest("/echo.Echo/Echo", SAME, SAME, Buffer.from("hello"), (error, reply) =>
        error === null ? resolve(reply) : reject(error),
      );
    });
    assert.equal(String(answer), "hello");
    client.close();
    const { status } = await enclave.stop();
    assert.equal(status, 0);
    assert.match(enclave.stderr, /"msg":"draining".*\n.*"msg":"stopped"/);
    server.forceShutdown();
  });

  it("reads the policy for callers again on SIGHUP, and keeps the old one when it is none", async () => {
    const callers = join(folder, "callers.json");
    const write = (referenceValues: object[]): void =>
      writeFileSync(callers, JSON.stringify({ referenceValues }));
    write([{ pcr0: "ab".repeat(48) }]);
    const server = await startEcho(at("app"));
    const enclave = new RunningProgram("cli/main.js", {
      args: ["enclave", ...flags, ...simulated, "--callers", callers],
    });
    await enclave.says(/"msg":"listening"/);
    write([]);
    process.kill(enclave.pid, "SIGHUP");
    await enclave.says(/referenceValues.*the old one stays/);
    write([{ pcr0: "cd".repeat(48) }]);
    process.kill(enclave.pid, "SIGHUP");
    await enclave.says(/"msg":"policy read again"/);
    const { status } = await enclave.stop();
    assert.equal(status, 0);
    server.forceShutdown();
  });

  it("stops with 0 on a signal while it waits", async () => {
    const enclave = new RunningProgram("cli/main.js", {
      args: ["enclave", ...flags, ...simulated],
    });
    await enclave.says(/"msg":"the application is away"/);
    const { status } = await enclave.stop();
    assert.equal(status, 0);
  });

  for (const [what, changed, text] of [
    ["a policy to write of a real module", ["--write-policy", policyFile], /for the simulator/],
    [
      "an application elsewhere",
      [...simulated, "--upstream", "192.0.2.1:1"],
      /outside the enclave/,
    ],
    ["an attester that is none", ["--attester", "tpm"], /nsm, simulator/],
    ["an address that is none", [...simulated, "--listen", "x"], /is not an address/],
    ["a peer that is none", [...simulated, "--vsock-peer", "parent"], /Expected a CID/],
    ["a buffer of nothing", [...simulated, "--vsock-buffer", "0"], /positive integer/],
  ] as const) {
    it(`exits with 2 for ${what}`, async () => {
      const { status, stderr } = await runProgram("cli/main.js", "enclave", ...flags, ...changed);
      assert.match(stderr, text);
      assert.equal(status, 2);
    });
  }

  it("shows examples in its help", async () => {
    const { status, stdout } = await runProgram("cli/main.js", "enclave", "--help");
    assert.equal(status, 0);
    assert.match(
      stdout,
      /sealrpc enclave --listen vsock:any:5000 --upstream unix:\/run\/app\.sock/,
    );
  });
});

/** An application that sends back what it gets. */
async function startEcho(address: string): Promise<grpc.Server> {
  const server = new grpc.Server();
  server.addService(
    {
      echo: {
        path: "/echo.Echo/Echo",
        requestStream: false,
        responseStream: false,
        requestSerialize: SAME,
        requestDeserialize: SAME,
        responseSerialize: SAME,
        responseDeserialize: SAME,
      },
    },
    {
      echo: (call: { request: Buffer }, done: grpc.sendUnaryData<Buffer>) =>
        done(null, call.request),
    },
  );
  await new Promise((resolve) => {
    server.bindAsync(address, grpc.ServerCredentials.createInsecure(), resolve);
  });
  return server;
}
