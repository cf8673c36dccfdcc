/** The benchmark runs from end to end and says what it found; how fast anything was is not tested. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import type { Report } from "../../bench/report.ts";
import { runProgram } from "../support/processes.ts";

describe("npm run bench", { timeout: 120_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), "bench-"));
  after(() => rmSync(folder, { recursive: true }));

  it("measures contenders and operations, in a table and in JSON", async () => {
    const json = join(folder, "report.json");
    const only = ["unary-100b-x1", "handshake-cpu", "plaintext", "sealrpc"];
    const { status, stdout, stderr } = await runProgram(
      "bench/main.js",
      "--tiny",
      "--json",
      json,
      "--only",
      ...only,
    );
    assert.equal(status, 0, stdout + stderr);
    assert.match(stdout, /^unary 100 B, 1 outstanding\n +calls\/s .*\n +plaintext grpc-js +\d/m);
    assert.match(stdout, /^goals\n/m);
    assert.match(stderr, /^\[1\/2\] unary 100 B, 1 outstanding\n\[2\/2\] /);
    const report = JSON.parse(readFileSync(json, "utf8")) as Report;
    assert.deepEqual(
      report.loads.map(({ name, contenders }) => [name, ...contenders.map((c) => c.name)]),
      [
        ["unary-100b-x1", "plaintext", "sealrpc"],
        [
          "handshake-cpu",
          "x25519-hkdf",
          "x25519-hkdf-keys-at-hand",
          "sealrpc-suite-1",
          "sealrpc-suite-2",
        ],
      ],
    );
    for (const { figures, contenders } of report.loads) {
      for (const { samples } of contenders) {
        assert.equal(samples.length, 1);
        for (const figure of figures) assert.equal(typeof samples[0]?.[figure], "number", figure);
      }
    }
    assert.ok(report.goals.every(({ ratio, met }) => ratio !== undefined && met !== undefined));
  });

  it("lists what can be asked for", async () => {
    const { status, stdout } = await runProgram("bench/main.js", "--help");
    assert.equal(status, 0);
    assert.match(stdout, /^ {2}unary-100b-x64 .*\n/m);
    assert.match(stdout, /^ {2}sealrpc-suite-2 .*\n/m);
  });

  it("refuses names that nothing has", async () => {
    const { status, stderr } = await runProgram("bench/main.js", "--only", "unary", "fast");
    assert.equal(status, 2);
    assert.match(stderr, /'fast' is invalid/);
  });
});
