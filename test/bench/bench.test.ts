/** The benchmark runs from end to end and says what it found; how fast anything was is not tested. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import type { Report } from "../../bench/report.ts";
import { type Finished, RunningProgram, runProgram } from "../support/processes.ts";
import { repositoryRoot } from "../support/repository.ts";

const noProc = process.platform === "linux" ? false : "/proc is not there";
const MAIN = "bench/main.js";
const bench = async (...args: readonly string[]): Promise<Finished> => runProgram(MAIN, ...args);

describe("npm run bench", { timeout: 300_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), "bench-"));
  after(() => rmSync(folder, { recursive: true }));

  it("measures, and reports to people, machines and documents", async () => {
    const [json, svg, document] = ["r.json", "r.svg", "r.md"].map((name) => join(folder, name));
    assert.ok(json !== undefined && svg !== undefined && document !== undefined);
    writeFileSync(document, "# Old\n\n```text report\nold\n```\n\nThe end.\n");
    const files = ["--json", json, "--svg", svg, "--document", document];
    const only = ["unary-100b-x1", "stream-down", "handshake-cpu", "plaintext", "sealrpc"];
    const { status, stdout, stderr } = await bench("--tiny", ...files, "--only", ...only);
    assert.equal(status, 0, stdout + stderr);
    assert.match(stdout, /^unary 100 B, 1 outstanding\n +calls\/s .*\n +plaintext grpc-js +\d/m);
    assert.match(
      stdout,
      /^goals\n(?:.*\n)+ +unary 100 B, 1 outstanding, calls\/s .* (?:met|MISSED)$/m,
    );
    assert.match(stderr, /^\[1\/3\] unary 100 B, 1 outstanding\n\[2\/3\] .*\n\[3\/3\] .*\n$/);

    const report = JSON.parse(readFileSync(json, "utf8")) as Report;
    assert.deepEqual(
      report.loads.map(({ name, contenders }) => [name, contenders.map((one) => one.name)]),
      [
        ["unary-100b-x1", ["plaintext", "sealrpc"]],
        ["stream-down", ["plaintext", "sealrpc"]],
        [
          "handshake-cpu",
          ["x25519-hkdf", "x25519-hkdf-keys-at-hand", "sealrpc-suite-1", "sealrpc-suite-2"],
        ],
      ],
    );
    for (const { figures, contenders } of report.loads) {
      for (const { samples } of contenders) {
        assert.equal(samples.length, 1);
        for (const figure of figures) assert.equal(typeof samples[0]?.[figure], "number", figure);
      }
    }
    assert.ok(report.goals.some(({ ratio, met }) => ratio !== undefined && met !== undefined));

    const picture = readFileSync(svg, "utf8");
    assert.match(picture, /^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg" [^>]*>\n<title>/);
    assert.match(picture, /prefers-color-scheme: dark/);
    // Two loads, two panels, one contender against the base; and the legend.
    assert.equal([...picture.matchAll(/<rect /g)].length, 2 * 2 * 1 + 2);
    assert.doesNotMatch(picture, /NaN|undefined|href|url\(/);

    const text = readFileSync(document, "utf8");
    assert.match(
      text,
      /^# Old\n\n```text report\n\d{4}-.*\n(?:.*\n)*goals\n(?:.*\n)*```\n\nThe end\.\n$/,
    );
    assert.doesNotMatch(text, /^old$/m);
  });

  it("measures a round again that others disturbed, and says so", { skip: noProc }, async () => {
    const json = join(folder, "disturbed.json");
    const others = Array.from(
      { length: Math.ceil(cpus().length / 4) },
      () => new Worker("for (;;);", { eval: true }),
    );
    try {
      const { status, stdout } = await bench("--tiny", "--json", json, "--only", "seal-1kib");
      assert.equal(status, 0, stdout);
      assert.match(stdout, /^rounds of more than 10 %, which were measured again: 1$/m);
    } finally {
      await Promise.all(others.map(async (one) => one.terminate()));
    }
    const { loads } = JSON.parse(readFileSync(json, "utf8")) as Report;
    assert.deepEqual(
      loads.map(({ repeatedRounds, contenders }) => [
        repeatedRounds,
        ...new Set(contenders.map(({ samples }) => samples.length)),
      ]),
      [[1, 1]],
    );
  });

  it("lists what can be asked for", async () => {
    const { status, stdout } = await bench("--help");
    assert.equal(status, 0);
    assert.match(stdout, /^ {2}unary-100b-x64 .*\n/m);
    assert.match(stdout, /^ {2}sealrpc-suite-2 .*\n/m);
  });

  it("refuses names that nothing has", async () => {
    const { status, stderr } = await bench("--only", "unary", "fast");
    assert.equal(status, 2);
    assert.match(stderr, /'fast' is invalid/);
  });

  it("goes on without a contender that fails, and fails itself", { skip: noProc }, async () => {
    const program = start();
    await program.says(/^\[1\/1\]/m);
    process.kill(await childOf(program, "proxy.js"), "SIGKILL");
    const { status, stdout, stderr } = await program.finished;
    assert.equal(status, 1, stdout + stderr);
    assert.match(stdout, /^ {2}plaintext grpc-js +\d/m);
    assert.match(stdout, /^ {2}error: sealrpc: /m);
    assert.match(stderr, /^error: sealrpc failed at unary-100b-x1$/m);
  });

  it("leaves out what a process may not have, which is no failure", { skip: noProc }, async () => {
    // 100 sessions take a forwarder 200 descriptors, beside the 100 that any program may need.
    const limited = 'ulimit -n 250 && exec "$0" "$@"';
    const main = fileURLToPath(new URL(`../../${MAIN}`, import.meta.url));
    const args = ["--tiny", "--only", "idle-100", "plaintext", "tls"];
    const program = spawnSync("sh", ["-c", limited, process.execPath, main, ...args]);
    const stdout = program.stdout.toString();
    assert.equal(program.status, 0, stdout + program.stderr.toString());
    assert.match(stdout, /^ {2}not here: grpc-js over TLS, L4: it takes 300 file descriptors, /m);
    assert.match(stdout, /^ {2}plaintext grpc-js .* \d+ /m);
  });

  it("leaves nothing behind when it is interrupted", { skip: noProc }, async () => {
    const program = start();
    const server = await childOf(program, "enclave.js");
    const { status } = await program.stop("SIGINT");
    assert.equal(status, 130);
    await assert.doesNotReject(async () => {
      while (processes().includes(server)) await soon();
    });
  });

  for (const path of ["docs/performance.md", "CONTRIBUTING.md"]) {
    it(`takes the arguments that ${path} gives it`, async () => {
      const text = readFileSync(join(repositoryRoot, path), "utf8");
      const commands = [...text.matchAll(/npm run bench -- ([^`\n]+)/g)];
      assert.notEqual(commands.length, 0);
      for (const [command, args = ""] of commands) {
        // What is wrong is said before the help, and instead of it.
        const { status, stderr } = await bench(...args.trim().split(/ +/), "--help");
        assert.equal(status, 0, `${command}: ${stderr}`);
      }
    });
  }
});

function start(): RunningProgram {
  const only = ["--only", "unary-100b-x1", "plaintext", "sealrpc"];
  return new RunningProgram(MAIN, { args: ["--short", ...only] });
}

function processes(): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

/** The process of a benchmark that runs a file of bench/programs. */
async function childOf({ pid }: RunningProgram, file: string): Promise<number> {
  for (;;) {
    for (const child of processes()) {
      try {
        const [, parent] =
          readFileSync(`/proc/${child}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
        const command = readFileSync(`/proc/${child}/cmdline`, "utf8");
        if (Number(parent) === pid && command.includes(`programs/${file}`)) return child;
      } catch {
        // It has ended meanwhile.
      }
    }
    await soon();
  }
}

async function soon(): Promise<void> {
  await new Promise((resolve) => {
    setTimeout(resolve, 20);
  });
}
