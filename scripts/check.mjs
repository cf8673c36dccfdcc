// The one command that checks everything but behaviour, which is `npm test`: contract, generated
// code, format, lint with types, unused code, packaging. Prints what fails and goes on.
import { spawnSync } from "node:child_process";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const failed = [];

check("contract lint", "buf", ["lint"]);
breaking();
check("generated code", "buf", ["generate"]);
check("generated code is committed", "git", ["diff", "--exit-code", "--stat", "--", "gen"]);
check("format", "oxfmt", ["--check"]);
check("lint and types", "oxlint", ["--type-aware", "--type-check", "--deny-warnings"]);
check("unused code", "knip", []);
check("packaging", "publint", ["--strict"]);

if (failed.length > 0) {
  console.error(`\ncheck failed: ${failed.join(", ")}`);
  process.exit(1);
}
console.log("check passed");

function breaking() {
  const { stdout } = spawnSync("git", ["describe", "--tags", "--abbrev=0", "--match", "v*"], {
    cwd: root,
    encoding: "utf8",
  });
  const tag = stdout.trim();
  if (tag === "") {
    console.log("— contract compatibility: no release tag yet, nothing to compare with");
    return;
  }
  check(`contract compatibility with ${tag}`, "buf", ["breaking", "--against", `.git#tag=${tag}`]);
}

function check(name, command, args) {
  console.log(`— ${name}`);
  const words = command === "git" ? [command, ...args] : ["npx", "--no-install", command, ...args];
  const { status, error } = spawnSync(words[0], words.slice(1), { cwd: root, stdio: "inherit" });
  if (error || status !== 0) failed.push(name);
}
