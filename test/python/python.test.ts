/**
 * The Python client of examples/python: the vectors, the catalogue of faulty evidence, and the notary
 * and gRPC's interoperability service through a proxy. Needs python3 and pip; what requirements.txt pins is installed once, under .cache.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import type { PolicyOptions } from "../../attestation/index.ts";
import { type Attack, policyWith } from "../attestation/catalogue/attack.ts";
import { genuine, made } from "../attestation/catalogue/groups.ts";
import { NotaryWay } from "../support/notary-way.ts";
import { RunningProgram } from "../support/processes.ts";
import { repositoryRoot } from "../support/repository.ts";
import { CHALLENGE } from "../support/test-document.ts";
import { NOW } from "../support/test-pki.ts";

const example = join(repositoryRoot, "examples", "python");
const requirements = join(example, "requirements.txt");

interface Ran {
  readonly status: number | null;
  readonly output: string;
}

function run(command: string, ...args: readonly string[]): Ran {
  const { status, stdout, stderr } = spawnSync(command, args, {
    encoding: "utf8",
    env: { ...process.env, PYTHONDONTWRITEBYTECODE: "1" },
  });
  return { status, output: `${stdout}${stderr}` };
}

/** What a skipped test says, or false where Python and pip are there. */
const pythonIsAbsent =
  run("python3", "-c", "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))")
    .status === 0
    ? false
    : "needs python3 of version 3.10 or newer, with venv and pip";

/** The interpreter of an environment that has exactly what requirements.txt pins. */
function installedPython(): string {
  const hash = createHash("sha256").update(readFileSync(requirements)).digest("hex");
  const environment = join(repositoryRoot, ".cache", `python-${hash.slice(0, 16)}`);
  const python = join(environment, "bin", "python");
  const complete = join(environment, "complete");
  if (existsSync(complete)) return python;
  rmSync(environment, { recursive: true, force: true });
  const steps = [
    ["python3", "-m", "venv", environment],
    [python, "-m", "pip", "install", "--quiet", "--require-hashes", "-r", requirements],
  ] as const;
  for (const [command, ...args] of steps) {
    const { status, output } = run(command, ...args);
    if (status !== 0) throw new Error(`${[command, ...args].join(" ")}:\n${output}`);
  }
  writeFileSync(complete, "");
  return python;
}

describe("the Python client", { skip: pythonIsAbsent, timeout: 300_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), "python-client-"));
  let python = "";
  before(() => {
    python = installedPython();
  });
  after(() => rmSync(folder, { recursive: true }));

  const script = (name: string, ...args: readonly string[]): Ran =>
    run(python, join(example, name), ...args);

  it("passes the vectors", () => {
    const { status, output } = script("vectors.py", join(repositoryRoot, "test", "vectors"));
    assert.equal(status, 0, output);
    assert.match(output, /^handshake-client: 2\d cases$/m);
    assert.match(output, /^frame-rules: 2\d cases$/m);
    assert.match(output, /^call-ends: 1\d cases$/m);
  });

  it("reports a vector that it does not pass", () => {
    const padding = { "1": 2 };
    const cases = [{ name: "wrong", expect: "ok", padding: "none", padded: padding }];
    writeFileSync(join(folder, "padding.json"), JSON.stringify({ cases }));
    const { status, output } = script("vectors.py", folder, "padding");
    assert.match(output, /padding: wrong: length 1 is 1, not 2, expected ok/);
    assert.equal(status, 1);
  });

  it("judges faulty evidence as this library does, code by code", () => {
    const cases = [...Object.values(made).flat(), ...genuine].flatMap(evidenceCase);
    assert.ok(cases.length > 150, `${cases.length} cases`);
    writeFileSync(join(folder, "evidence.json"), JSON.stringify({ cases }));
    const { status, output } = script("vectors.py", folder, "evidence");
    assert.equal(status, 0, output);
  });

  it("passes the interoperability cases, and some about sessions", async () => {
    const [socket, policy] = [`unix:${join(folder, "enclave.sock")}`, join(folder, "policy.json")];
    const enclave = new RunningProgram("test/interop/test-service-main.js", {
      args: ["sealed", socket, policy],
    });
    await enclave.says(/listening on/);
    const proxy = new RunningProgram("cli/main.js", {
      args: ["proxy", "--listen", "127.0.0.1:0", "--enclave", socket],
    });
    const [, target = ""] = await proxy.says(/"address":"([^"]+)".*"msg":"listening"/);
    const cases = join(repositoryRoot, "test", "python", "interop.py");
    const { status, output } = run(python, cases, target, policy);
    await Promise.all([proxy.stop("SIGKILL"), enclave.stop("SIGKILL")]);
    assert.equal(status, 0, output);
    assert.match(output, /^closing_cancels: ok$/m);
  });

  describe("with the notary", () => {
    let way: NotaryWay;
    before(async () => {
      way = await NotaryWay.start();
    });
    after(async () => way.close());

    const notary = (...args: readonly string[]): Ran =>
      script("notary_client.py", "--target", way.target, "--policy", way.policyFile, ...args);

    it("calls the notary in all four ways", () => {
      const { status, output } = notary("--simulator");
      assert.equal(status, 0, output);
      assert.match(output, /^attested: i-[0-9a-f]{17}-enc[0-9a-f]{16}$/m);
      assert.match(output, /^receipt 1 for 1000000 bytes of letter\.txt$/m);
      assert.match(output, /^signed 100 more$/m);
      assert.match(output, /^refused what is no digest/m);
    });

    it("leaves nothing of its calls with the proxy", () => {
      assert.doesNotMatch(way.proxy.stdout + way.proxy.stderr, /letter|notary\.v1|Upload/);
    });

    it("refuses a simulator that nobody asked for", () => {
      const { status, output } = notary();
      assert.match(output, /^notary: the policy is for a simulator/m);
      assert.equal(status, 1);
    });

    it("refuses an enclave of another image", () => {
      const policy = JSON.parse(readFileSync(way.policyFile, "utf8")) as object;
      const other = join(folder, "other.json");
      const referenceValues = [{ pcr0: "ab".repeat(48) }];
      writeFileSync(other, JSON.stringify({ ...policy, referenceValues }));
      const { status, output } = notary("--simulator", "--policy", other);
      assert.match(output, /UNAUTHENTICATED|\[measurement-mismatch\]/);
      assert.equal(status, 1);
    });
  });
});

/** A case of the catalogue as vectors.py reads it; none where the case needs an option that the
 * Python policy does not have. */
function evidenceCase(attack: Attack): object[] {
  const { name, verdict, challenge = CHALLENGE, userData, now = NOW } = attack;
  const policy = (attack.policy ?? policyWith())();
  const known = new Set(["referenceValues", "maxAgeMs", "insecureTestRoot"]);
  if (userData !== undefined || Object.keys(policy).some((key) => !known.has(key))) return [];
  return [
    {
      name,
      expect: verdict === "accepted" ? "ok" : verdict,
      evidence: Buffer.from(attack.evidence()).toString("hex"),
      challenge: challenge && Buffer.from(challenge).toString("hex"),
      policy: { ...policy, ...pemRoot(policy) },
      nowMs: now,
    },
  ];
}

function pemRoot({ insecureTestRoot: root }: PolicyOptions): PolicyOptions {
  if (root === undefined || typeof root === "string") return {};
  const base64 = Buffer.from(root).toString("base64");
  return {
    insecureTestRoot: `-----BEGIN CERTIFICATE-----\n${base64}\n-----END CERTIFICATE-----\n`,
  };
}
