import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { runProgram } from "../support/processes.ts";
import { repositoryRoot } from "../support/repository.ts";

describe("sealrpc", () => {
  it("prints the package's version", async () => {
    const { version } = JSON.parse(readFileSync(join(repositoryRoot, "package.json"), "utf8")) as {
      version: string;
    };
    const { status, stdout } = await runProgram("cli/main.js", "--version");
    assert.equal(stdout, `${version}\n`);
    assert.equal(status, 0);
  });

  it("prints help on request, with the meaning of its exit status", async () => {
    const { status, stdout, stderr } = await runProgram("cli/main.js", "--help");
    assert.match(stdout, /Usage: sealrpc/);
    assert.match(stdout, /Exit status: 0 good, 1 refused or failed, 2 wrong usage/);
    assert.equal(stderr, "");
    assert.equal(status, 0);
  });

  it("ends quietly when its output is not read to the end", async () => {
    const main = join(repositoryRoot, "dist", "cli", "main.js");
    const child = spawn(process.execPath, [main, "verify", "--help"]);
    child.stdout.destroy();
    let stderr = "";
    child.stderr.on("data", (chunk: Buffer) => (stderr += String(chunk)));
    const [status] = (await once(child, "close")) as [number | null];
    assert.deepEqual([status, stderr], [0, ""]);
  });

  it("refuses an unknown command and an unknown option with status 2", async () => {
    for (const word of ["nonsense", "--nonsense"]) {
      const { status, stdout, stderr } = await runProgram("cli/main.js", word);
      assert.match(stderr, /^error: /);
      assert.equal(stdout, "");
      assert.equal(status, 2);
    }
  });
});
