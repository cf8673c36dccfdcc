import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { createInterface } from "node:readline";
import { dirname, join } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import * as grpc from "@grpc/grpc-js";
import { ConnectClient, echo, outcome, startConnectServer } from "../support/connect-service.ts";

const program = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "cli", "main.js");

function refused(...flags: string[]): { status: number | null; stderr: string } {
  const { status, stderr } = spawnSync(process.execPath, [program, "proxy", ...flags], {
    encoding: "utf8",
  });
  return { status, stderr };
}

/** A running proxy; `line` waits for the next line of its log with that sentence. */
function running(...flags: string[]): {
  line(sentence: string): Promise<Record<string, unknown>>;
  signal(name: NodeJS.Signals): void;
  exit: Promise<number | null>;
} {
  const child = spawn(process.execPath, [program, "proxy", ...flags], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  const lines = createInterface(child.stderr)[Symbol.asyncIterator]();
  return {
    exit: new Promise((resolve) => {
      child.once("exit", resolve);
    }),
    line: async (sentence) => {
      for (;;) {
        const next: IteratorResult<string, undefined> = await lines.next();
        assert.ok(next.done !== true, `the proxy ended before it said ${sentence}`);
        const facts = JSON.parse(next.value) as Record<string, unknown>;
        if (facts["msg"] === sentence) {
          return facts;
        }
      }
    },
    signal: (name) => child.kill(name),
  };
}

describe("sealrpc proxy", () => {
  it("forwards, says where it listens, and drains on a signal", async () => {
    const enclave = await startConnectServer(echo);
    const proxy = running("--listen", "127.0.0.1:0", "--enclave", enclave.address);
    const { address, level } = await proxy.line("listening");
    assert.equal(level, "info");
    const client = new ConnectClient(String(address));
    const call = client.open();
    const result = outcome(call);
    const first = new Promise((resolve) => {
      call.once("data", resolve);
    });
    call.write(Buffer.from("before"));
    await first;
    proxy.signal("SIGTERM");
    await proxy.line("draining");
    call.end(Buffer.from("after"));
    const { messages, status } = await result;
    assert.equal(status.code, grpc.status.OK);
    assert.deepEqual(messages.map(String), ["before", "after"]);
    assert.equal(await proxy.exit, 0);
    client.close();
    enclave.stop();
  });

  it("stops at once with 1 on a second signal", async () => {
    const enclave = await startConnectServer((call) => call.sendMetadata(new grpc.Metadata()));
    const proxy = running("--listen", "127.0.0.1:0", "--enclave", enclave.address);
    const { address } = await proxy.line("listening");
    const client = new ConnectClient(String(address));
    const call = client.open();
    const result = outcome(call);
    await new Promise((resolve) => {
      call.once("metadata", resolve);
    });
    proxy.signal("SIGINT");
    await proxy.line("draining");
    proxy.signal("SIGINT");
    assert.equal(await proxy.exit, 1);
    assert.equal((await result).status.code, grpc.status.UNAVAILABLE);
    client.close();
    enclave.stop();
  });

  for (const [what, flags, text] of [
    ["an address that is none", ["--listen", "x", "--enclave", "vsock:3:1"], /is not an address/],
    ["a missing enclave", ["--listen", "127.0.0.1:0"], /--enclave/],
    [
      "half of TLS",
      ["--listen", "127.0.0.1:0", "--enclave", "vsock:3:1", "--tls-cert", "c"],
      /go together/,
    ],
    [
      "a client authority without TLS",
      ["--listen", "127.0.0.1:0", "--enclave", "vsock:3:1", "--client-ca", "c"],
      /needs --tls-cert/,
    ],
    [
      "a number that is none",
      ["--listen", "127.0.0.1:0", "--enclave", "vsock:3:1", "--window", "8MiB"],
      /positive integer/,
    ],
    [
      "a buffer of nothing",
      ["--listen", "127.0.0.1:0", "--enclave", "vsock:3:1", "--vsock-buffer", "0"],
      /positive integer/,
    ],
  ] as const) {
    it(`exits with 2 for ${what}`, () => {
      const { status, stderr } = refused(...flags);
      assert.equal(status, 2);
      assert.match(stderr, text);
    });
  }

  it("exits with 1 when it cannot listen or read a certificate", () => {
    const taken = refused("--listen", "unix:/nowhere/x.sock", "--enclave", "unix:/x");
    assert.equal(taken.status, 1);
    assert.match(taken.stderr, /\[unreachable\] cannot listen on unix:\/nowhere\/x\.sock/);
    const flags = ["--listen", "127.0.0.1:0", "--enclave", "unix:/x"];
    const unread = refused(...flags, "--tls-cert", "/nowhere/c.pem", "--tls-key", "/nowhere/k.pem");
    assert.equal(unread.status, 1);
    assert.match(unread.stderr, /c\.pem/);
  });

  it("shows examples in its help", () => {
    const { status, stdout } = spawnSync(process.execPath, [program, "proxy", "--help"], {
      encoding: "utf8",
    });
    assert.equal(status, 0);
    assert.match(stdout, /sealrpc proxy --listen 0\.0\.0\.0:8443 --enclave vsock:16:5000/);
  });
});
