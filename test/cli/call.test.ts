import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { NotaryWay } from "../support/notary-way.ts";
import { type Finished, runProgram, RunningProgram } from "../support/processes.ts";
import { noOpenssl, selfSigned } from "../support/self-signed.ts";

const SERVICE = "notary.v1.NotaryService";
const PROTO = "examples/notary/proto/notary/v1/notary.proto";

/** A request with the digest of `text`. */
function digest(text: string): string {
  return JSON.stringify({ sha256: createHash("sha256").update(text).digest("base64") });
}

/** The documents that a program printed. */
function documents({ stdout }: Finished): Record<string, unknown>[] {
  return JSON.parse(`[${stdout.replaceAll(/^\}\n(?=.)/gm, "},")}]`) as Record<string, unknown>[];
}

describe("sealrpc call", { timeout: 120_000 }, () => {
  let way: NotaryWay;
  before(async () => {
    way = await NotaryWay.start({ enclaveFlags: ["--reflection"] });
  });
  after(async () => way.close());

  const start = (method: string, ...flags: string[]): RunningProgram =>
    new RunningProgram("cli/main.js", {
      args: ["call", way.target, ...method.split(" "), "--policy", way.policyFile, ...flags],
      input: flags.includes("-"),
    });
  const call = async (method: string, ...flags: string[]): Promise<Finished> =>
    start(method, ...flags).finished;
  const file = (name: string, text: string): string => {
    const path = join(way.folder, name);
    writeFileSync(path, text);
    return path;
  };

  it("makes a unary call with what reflection says, and prints nothing but the answer", async () => {
    const finished = await call(`${SERVICE}/SignDigest`, "-d", digest("a"));
    assert.equal(finished.status, 0, finished.stderr);
    const [answer, ...others] = documents(finished);
    assert.match(String(answer?.["signature"]), /^MEQ|^MEU|^MEY/);
    assert.deepEqual(others, []);
    assert.match(finished.stderr, /^sealrpc: SIMULATED.*\n$/);
  });

  it("streams requests out of a file, and answers as they come", async () => {
    const parts = file("parts.json", '{"name": "a.txt", "data": "aGVs"}\n{"data": "bG8="}{}');
    const upload = await call(`${SERVICE}/UploadDocument`, "-d", `@${parts}`);
    assert.equal(upload.status, 0, upload.stderr);
    const sha256 = createHash("sha256").update("hello").digest("base64");
    const [{ receipt }] = documents(upload) as [{ receipt: Record<string, string> }];
    assert.deepEqual(
      [receipt["number"], receipt["name"], receipt["size"], receipt["sha256"]],
      ["1", "a.txt", "5", sha256],
    );
    const listed = await call(`${SERVICE}.ListReceipts`);
    assert.equal(listed.status, 0, listed.stderr);
    assert.deepEqual(documents(listed), [{ receipt }]);
  });

  it("sends standard input as it comes, and ends when the input does", async () => {
    const chat = start(`${SERVICE}/SignMany`, "-d", "-");
    chat.write(digest("a"));
    await chat.says(/"signature"/);
    chat.write(`${digest("b")} `);
    await chat.says(/("signature"[^]*){2}/);
    chat.endInput();
    const finished = await chat.finished;
    assert.equal(finished.status, 0, finished.stderr);
    assert.equal(documents(finished).length, 2);
  });

  it("gives a call up when its input turns bad", async () => {
    const chat = start(`${SERVICE}/SignMany`, "-d", "-");
    chat.write(digest("a"));
    await chat.says(/"signature"/);
    chat.write('{"sha256": 1}');
    const { status, stderr } = await chat.finished;
    assert.equal(status, 2);
    assert.match(stderr, /^error: .*sha256/m);
  });

  it("exits with 64 + the status, after what came before it", async () => {
    const three = digest("a") + digest("b") + '{"sha256": "AA=="}';
    const finished = await call(`${SERVICE}/SignMany`, "-d", three);
    assert.equal(finished.status, 64 + 3);
    assert.equal(documents(finished).length, 2);
    assert.match(finished.stderr, /INVALID_ARGUMENT: sha256: expected 32 bytes\n/);
    assert.match(finished.stderr, /outcome executed/);
  });

  it("prints a status as JSON on demand", async () => {
    const { status, stdout, stderr } = await call(`${SERVICE}/SignDigest`, "--json");
    assert.deepEqual([status, stdout], [64 + 3, ""]);
    assert.deepEqual(JSON.parse(stderr.replace(/^sealrpc:.*\n/, "")), {
      status: "INVALID_ARGUMENT",
      code: 3,
      message: "sha256: expected 32 bytes",
      outcome: "executed",
      sealrpcCode: null,
      details: [],
    });
  });

  it("ends a call at its deadline, though there may be more input", async () => {
    const chat = start(`${SERVICE}/SignMany`, "-d", "-", "--timeout", "1500ms");
    const { status, stderr } = await chat.finished;
    assert.equal(status, 64 + 4, stderr);
    assert.match(stderr, /DEADLINE_EXCEEDED/);
  });

  it("refuses an enclave that runs another image: 64 + UNAUTHENTICATED, with the code", async () => {
    const policy = JSON.parse(readFileSync(way.policyFile, "utf8")) as object;
    const other = { ...policy, referenceValues: [{ pcr0: "ab".repeat(48) }] };
    const path = file("other.json", JSON.stringify(other));
    for (const flags of [[], ["--proto", PROTO]]) {
      const args = ["call", way.target, `${SERVICE}/GetPublicKey`, "--policy", path, ...flags];
      const { status, stdout, stderr } = await new RunningProgram("cli/main.js", { args }).finished;
      assert.equal(status, 64 + 16, stderr);
      assert.match(stderr, /UNAUTHENTICATED: \[measurement-mismatch\]/);
      assert.match(stderr, /outcome not executed/);
      assert.equal(stdout, "");
    }
  });

  it("speaks TLS to the proxy", { skip: noOpenssl }, async () => {
    const { cert, key } = selfSigned("proxy");
    const tls = ["--tls-cert", file("cert.pem", cert), "--tls-key", file("key.pem", key)];
    const where = ["--listen", "127.0.0.1:0", "--enclave", way.enclaveAddress];
    const proxy = new RunningProgram("cli/main.js", { args: ["proxy", ...where, ...tls] });
    const [, port] = await proxy.says(/"address":"127\.0\.0\.1:(\d+)"/);
    const flags = ["list", "--policy", way.policyFile];
    const list = async (...more: string[]): Promise<Finished> =>
      runProgram("cli/main.js", "call", `localhost:${port}`, ...flags, ...more);
    const [trusted, untrusted, plain] = await Promise.all([
      list("--tls-ca", join(way.folder, "cert.pem")),
      list("--tls"),
      list(),
    ]);
    await proxy.stop("SIGKILL");
    assert.equal(trusted.status, 0, trusted.stderr);
    assert.deepEqual([untrusted.status, plain.status], [64 + 14, 64 + 14]);
  });

  it("exits with 64 + UNAVAILABLE when nobody is there", async () => {
    const target = `unix:${join(way.folder, "absent.sock")}`;
    const args = ["call", target, "list", "--policy", way.policyFile, "--timeout", "1m"];
    const { status, stderr } = await new RunningProgram("cli/main.js", { args }).finished;
    assert.equal(status, 64 + 14, stderr);
    assert.match(stderr, /\[unreachable\]/);
  });

  it("lists and describes what reflection knows", async () => {
    const [services, methods, message, method] = await Promise.all([
      call("list"),
      call(`list ${SERVICE}`, "--json"),
      call("describe notary.v1.Receipt"),
      call(`describe ${SERVICE}.SignMany`),
    ]);
    assert.equal(services.stdout, `grpc.health.v1.Health\n${SERVICE}\n`);
    assert.equal((JSON.parse(methods.stdout) as string[])[1], `${SERVICE}/SignDigest`);
    assert.match(message.stdout, /^message notary.v1.Receipt \{\n {2}uint64 number = 1;\n/);
    const [request, response] = ["notary.v1.SignManyRequest", "notary.v1.SignManyResponse"];
    assert.equal(method.stdout, `rpc SignMany(stream ${request}) returns (stream ${response});\n`);
  });

  it("says on demand which enclave answered, and how", async () => {
    const { stdout, stderr } = await call(`${SERVICE}/GetPublicKey`, "-v");
    assert.match(stdout, /BEGIN PUBLIC KEY/);
    assert.match(stderr, /^enclave:\n {2}module_id +i-[0-9a-f]{17}-enc/m);
    assert.match(stderr, /PCR0 +[0-9a-f]{96} +as expected/);
    assert.match(stderr, /\nmetadata: none\ntrailers: none\nstatus: OK\n$/);
  });

  it("refuses bad requests with status 2, and names what there is instead", async () => {
    const cases: readonly (readonly [string, string[], RegExp])[] = [
      ["SignDigest", ["-d", '{"sha256": "AA'], /Unterminated string/],
      ["SignDigest", ["-d", '{"sha": ""}'], /"sha" is unknown/],
      ["SignDigest", ["-d", "{}{}"], /takes one message, not 2/],
      ["SignMany", ["-d", '{} {"sha256": 5}'], /sha256/],
      ["SignDigset", [], /no method SignDigset; did you mean SignDigest\? .*GetPublicKey, /],
    ];
    await Promise.all(
      cases.map(async ([method, flags, message]) => {
        const { status, stdout, stderr } = await call(`${SERVICE}/${method}`, ...flags);
        assert.deepEqual([status, stdout], [2, ""], stderr);
        assert.match(stderr, message);
      }),
    );
    const { status, stderr } = await call("notary.v1.Notary/SignDigest");
    assert.equal(status, 2);
    assert.match(stderr, /there is no notary\.v1\.Notary.* There is: .*notary\.v1\.NotaryService/);
  });
});

describe("the usage of sealrpc call", { timeout: 60_000 }, () => {
  const run = async (...args: string[]): Promise<Finished> =>
    new RunningProgram("cli/main.js", { args: ["call", "127.0.0.1:1", ...args] }).finished;

  it("takes a policy, or the explicit absence of one, and not both", async () => {
    for (const flags of [[], ["--policy", "package.json", "--insecure-any-measurement"]]) {
      const { status, stderr } = await run("list", ...flags);
      assert.equal(status, 2);
      assert.match(stderr, /--policy FILE, or --insecure-any-measurement/);
    }
  });

  it("says loudly that measurements are not compared", async () => {
    const { status, stderr } = await run("list", "--insecure-any-measurement", "--timeout", "2s");
    assert.match(stderr, /^sealrpc: MEASUREMENTS NOT COMPARED/);
    assert.equal(status, 64 + 14);
  });

  it("refuses what cannot be meant", async () => {
    const cases = [
      [`${SERVICE}/GetPublicKey`, "--policy", "package.json"],
      ["list", "-H", "no colon"],
      ["list", "-H", "grpc-timeout: 1S"],
      ["list", "-H", "sealrpc-pcr0: 00"],
      ["list", "--timeout", "5 s"],
      ["list", "--max-message", "many"],
      [`${SERVICE}/GetPublicKey`, "what", "--insecure-any-measurement"],
      [],
    ];
    const finished = await Promise.all(cases.map(async (args) => run(...args)));
    for (const [i, { status, stderr }] of finished.entries()) {
      assert.equal(status, 2, cases[i]?.join(" "));
      assert.match(stderr, /^error: /);
    }
  });

  it("needs no enclave to show what files describe", async () => {
    const [list, method, json] = await Promise.all([
      run("list", "--proto", PROTO),
      run("describe", SERVICE, "--proto", PROTO),
      run("describe", "notary.v1.GetPublicKeyRequest", "--proto", PROTO, "--json"),
    ]);
    assert.equal(list.stdout, `${SERVICE}\n`);
    assert.match(method.stdout, /^ {2}rpc SignMany\(stream notary/m);
    assert.deepEqual(JSON.parse(json.stdout), { name: "GetPublicKeyRequest", options: {} });
    assert.equal(list.stderr + method.stderr + json.stderr, "");
  });

  it("fails with status 1 for files that are not there or not what they should be", async () => {
    for (const flags of [
      ["--proto", "absent.proto"],
      ["--proto", "package.json"],
      ["--descriptor-set", "package.json"],
    ]) {
      const { status, stdout, stderr } = await run("list", ...flags);
      assert.deepEqual([status, stdout], [1, ""], stderr);
      assert.match(stderr, /^sealrpc: .*(absent\.proto|package\.json)/);
    }
  });
});
