/**
 * docs/any-language.md is true: its files are written, and its commands run in order, as a reader
 * would. What its fences say besides the language: `ready=` a word that a program prints when the
 * reader may go on (it keeps running), `exit=` a status, `says=` a part of the output, `prints=` the
 * block that shows it whole.
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it, type TestContext } from "node:test";
import { repositoryRoot } from "./support/repository.ts";

interface Block {
  readonly language: string;
  readonly attributes: string;
  readonly code: string;
}

const DOCUMENT = "docs/any-language.md";
/** Packages of Python are installed once for each text of the block that installs them. */
const CACHE = join(repositoryRoot, ".cache", "any-language");

const text = readFileSync(join(repositoryRoot, DOCUMENT), "utf8");
const blocks = [...text.matchAll(/^```(\w+)([^\n]*)\n(.*?)^```$/gms)].map(
  ([, language = "", attributes = "", code = ""]): Block => ({ language, attributes, code }),
);
const valueOf = ({ attributes }: Block, name: string): string | undefined =>
  new RegExp(`\\b${name}=(\\S+)`).exec(attributes)?.[1];

const hasPython = spawnSync("python3", ["-m", "venv", "--help"]).status === 0;

describe(DOCUMENT, { timeout: 300_000, skip: hasPython ? false : "there is no python3" }, () => {
  const folder = mkdtempSync(join(tmpdir(), "any-"));
  const background: ChildProcess[] = [];
  const ports = new Map<string, string>();
  let offline: string | undefined;
  let isBroken = false;
  before(async () => {
    const bin = join(folder, "bin");
    mkdirSync(bin);
    const program = join(repositoryRoot, "dist", "cli", "main.js");
    writeFileSync(
      join(bin, "sealrpc"),
      `#!/bin/sh\nexec "${process.execPath}" "${program}" "$@"\n`,
    );
    chmodSync(join(bin, "sealrpc"), 0o755);
    for (const port of ["8443", "50051"]) ports.set(port, await freePort());
    for (const block of blocks) {
      const file = valueOf(block, "file");
      if (file !== undefined) writeFileSync(join(folder, file), block.code);
    }
  });
  after(async () => {
    const running = background.filter(({ exitCode }) => exitCode === null);
    const over = running.map(async (child) => once(child, "close"));
    for (const { pid } of running) if (pid !== undefined) process.kill(-pid, "SIGKILL");
    await Promise.all(over);
    rmSync(folder, { recursive: true });
  });

  /** Starts a block, in a process group of its own. */
  const start = ({ code }: Block): { child: ChildProcess; output: () => string } => {
    const here = code.replaceAll(/127\.0\.0\.1:(\d+)/g, (_, port: string) => {
      return `127.0.0.1:${ports.get(port) ?? assert.fail(`port ${port}`)}`;
    });
    const child = spawn("bash", ["-euo", "pipefail", "-c", here], {
      cwd: folder,
      env: { ...process.env, PATH: `${join(folder, "bin")}:${process.env["PATH"]}` },
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
    });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (piece: string) => {
        output += piece;
        child.emit("output");
      });
    }
    return { child, output: () => output };
  };
  const run = async (block: Block): Promise<{ status: number | null; output: string }> => {
    const { child, output } = start(block);
    await once(child, "close");
    return { status: child.exitCode, output: output() };
  };

  const install = async (block: Block, context: TestContext): Promise<void> => {
    const kept = join(CACHE, createHash("sha256").update(block.code).digest("hex"));
    const complete = join(kept, "complete");
    const here = join(folder, ".venv");
    if (existsSync(complete)) {
      symlinkSync(kept, here);
      return;
    }
    const { status, output } = await run(block);
    if (status !== 0 && /connection|resolve|timed out|No matching dist/i.test(output)) {
      offline = "packages of Python cannot be installed here";
      context.skip(offline);
      return;
    }
    assert.equal(status, 0, output);
    rmSync(kept, { recursive: true, force: true });
    cpSync(here, kept, { recursive: true, verbatimSymlinks: true });
    writeFileSync(complete, "");
  };
  const startUntil = async (block: Block, ready: string): Promise<void> => {
    const { child, output } = start(block);
    background.push(child);
    while (!output().includes(ready)) {
      assert.equal(child.exitCode, null, output());
      await Promise.race([once(child, "output"), once(child, "close")]);
    }
  };
  const runToEnd = async (block: Block): Promise<void> => {
    const { status, output } = await run(block);
    assert.equal(status, Number(valueOf(block, "exit") ?? 0), output);
    assert.ok(output.includes(valueOf(block, "says") ?? ""), output);
    const shown = valueOf(block, "prints");
    if (shown === undefined) return;
    const example = blocks.find(({ attributes }) => attributes.trim() === shown);
    assert.equal(normal(output), normal(example?.code ?? ""));
  };

  for (const block of blocks.filter(({ language }) => language === "sh")) {
    const title = block.code.trim().split("\n").at(0) ?? "";
    it(title, async (context) => {
      const ready = valueOf(block, "ready");
      if (offline !== undefined) {
        context.skip(offline);
        return;
      }
      assert.ok(!isBroken, "a command before this one failed");
      isBroken = true;
      if (block.attributes.includes("setup")) await install(block, context);
      else if (ready !== undefined) await startUntil(block, ready);
      else await runToEnd(block);
      isBroken = false;
    });
  }
});

/** Modules have other names each time. */
function normal(output: string): string {
  return output.replaceAll(/\bi-[0-9a-f]{17}-enc[0-9a-f]{16}\b/g, "MODULE");
}

async function freePort(): Promise<string> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  return String(typeof address === "object" ? address?.port : undefined);
}
