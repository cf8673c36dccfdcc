/** What README.md shows is true: its code compiles and runs, its commands and links lead somewhere. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
// Inside the package, so that `sealrpc` is this package by its own name.
const folder = join(root, "dist", ".readme");

interface Block {
  readonly language: string;
  readonly file: string | undefined;
  readonly runnable: boolean;
  readonly code: string;
}

function blocksOf(path: string): Block[] {
  const text = readFileSync(join(root, path), "utf8");
  return [...text.matchAll(/^```(\w+)([^\n]*)\n(.*?)^```$/gms)].map((match) => {
    const [, language = "", attributes = "", code = ""] = match;
    const file = /\bfile=(\S+)/.exec(attributes)?.[1];
    return { language, file, runnable: /\brun\b/.test(attributes), code };
  });
}

function node(...args: readonly string[]): {
  readonly status: number | null;
  readonly output: string;
} {
  const { status, stdout, stderr } = spawnSync(process.execPath, args, {
    cwd: root,
    encoding: "utf8",
    timeout: 30_000,
  });
  return { status, output: stdout + stderr };
}

describe("README.md", () => {
  const blocks = blocksOf("README.md");
  const programs = blocks.filter(({ language }) => language === "ts");

  before(() => {
    rmSync(folder, { recursive: true, force: true });
    // Where a user's own generated code would be.
    const generated = join(folder, "gen", "notary", "v1");
    mkdirSync(generated, { recursive: true });
    for (const extension of ["js", "d.ts"]) {
      writeFileSync(
        join(generated, `notary_pb.${extension}`),
        'export * from "#gen/notary/v1/notary_pb.js";\n',
      );
    }
    for (const { file, code } of programs) {
      writeFileSync(join(folder, file ?? assert.fail(`no file= for ${code}`)), code);
    }
    const compilerOptions = {
      rootDir: ".",
      outDir: ".",
      declaration: false,
      sourceMap: false,
      noEmitOnError: true,
    };
    writeFileSync(
      join(folder, "tsconfig.json"),
      JSON.stringify({
        extends: "../../tsconfig.json",
        compilerOptions: { ...compilerOptions, isolatedDeclarations: false },
        include: ["*.ts"],
        exclude: [],
      }),
    );
  });

  it("compiles", () => {
    assert.notEqual(programs.length, 0);
    const compiler = join("node_modules", "typescript", "bin", "tsc");
    assert.deepEqual(node(compiler, "-p", folder), { status: 0, output: "" });
  });

  it("runs", () => {
    const runnable = programs.filter((program) => program.runnable);
    assert.equal(runnable.length, 1);
    for (const { file = "" } of runnable) {
      const { status, output } = node(join(folder, file.replace(/\.ts$/, ".js")));
      assert.equal(status, 0, output);
      assert.match(output, /^signed in the enclave: \d\d bytes$/m);
    }
  });
});

for (const path of [
  "README.md",
  "CONTRIBUTING.md",
  "SECURITY.md",
  "CHANGELOG.md",
  "docs/any-language.md",
  "docs/interop.md",
  "docs/operations.md",
  "docs/performance.md",
  "docs/protocol.md",
]) {
  describe(path, () => {
    const shell = blocksOf(path)
      .filter(({ language }) => language === "sh")
      .flatMap(({ code }) => code.split("\n"))
      .filter((line) => line !== "");
    const text = readFileSync(join(root, path), "utf8");

    for (const name of new Set(
      [...text.matchAll(/npm (?:run )?(\w+)\b/g)].map(([, word = ""]) => word),
    )) {
      if (name === "install") continue;
      it(`names an npm script that exists: ${name}`, () => {
        const manifest: unknown = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
        const { scripts } = manifest as { readonly scripts: Readonly<Record<string, string>> };
        assert.ok(Object.hasOwn(scripts, name));
      });
    }

    for (const command of new Set(
      shell.filter((line) => line.startsWith("sealrpc ")).map((line) => line.split(" ")[1] ?? ""),
    )) {
      it(`names a command that exists: sealrpc ${command}`, () => {
        const { status, output } = node(join("dist", "cli", "main.js"), command, "--help");
        assert.equal(status, 0, output);
        assert.match(output, new RegExp(`sealrpc ${command}`));
      });
    }

    it("links to files that exist", () => {
      const targets = [...text.matchAll(/\]\(([^)#]+)[^)]*\)/g)]
        .map(([, target = ""]) => target)
        .filter((target) => !/^[a-z]+:/.test(target));
      const missing = targets.filter((target) => !existsSync(join(root, dirname(path), target)));
      assert.deepEqual(missing, []);
    });

    it("names tests that exist", () => {
      const named = [...text.matchAll(/`(test\/[\w/.-]+)`/g)].map(([, name = ""]) => name);
      assert.deepEqual(
        named.filter((name) => !existsSync(join(root, name))),
        [],
      );
    });
  });
}
