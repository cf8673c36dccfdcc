// Checks the model of calls (formal/README.md) with Spin, in about two minutes: each claim holds, and
// falls once the rule that it stands on is taken away. Spin is that of the machine, or of Debian's package,
// unpacked under .cache.
import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { DEBIAN_TOOLS, unpackPackages } from "./debian.mjs";
import { run } from "./run.mjs";

/** Of the model's variants: the claims that hold in it, and those that fall. */
const VARIANTS = [
  { defines: [], holds: ["safe", "not_executed", "not_executed_idempotent"] },
  { defines: ["HONEST"], holds: ["ends"] },
  { defines: ["LIMIT=2"], holds: ["limited"] },
  { defines: ["LIMIT=2", "NO_LIMIT"], falls: ["limited", "safe"] },
  { defines: ["RESEND_AFTER_CUT"], falls: ["once", "safe"] },
  {
    defines: ["RUN_AFTER_GOAWAY"],
    falls: ["once", "not_executed", "not_executed_idempotent"],
  },
  { defines: ["EARLY_LAST"], falls: ["once", "not_executed", "not_executed_idempotent"] },
  { defines: ["REFUSE_STARTED"], falls: ["once", "not_executed"] },
  { defines: ["FORGET_UNKNOWN"], falls: ["not_executed_idempotent"] },
  { defines: ["RESEND_ANSWERED"], falls: ["answered_once", "safe"] },
  { defines: ["BELIEVE_OUTER_OK"], falls: ["executed", "safe"] },
  { defines: ["END_UNSTARTED"], falls: ["end_is_proof"] },
  { defines: ["HONEST", "IGNORE_GOAWAY"], falls: ["ends"] },
];
/** Megabytes; the largest search takes one thousand of them. */
const MAX_MEMORY = 4096;

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const cache = join(root, ".cache", "models");

const spin = findSpin();
if (spin.absent !== undefined) {
  console.log(`models: skipped: ${spin.absent}`);
  process.exit(0);
}
const folder = join(cache, "calls");
rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
copyFileSync(join(root, "formal", "calls.pml"), join(folder, "calls.pml"));
let failures = 0;
for (const { defines, holds = [], falls = [] } of VARIANTS) {
  build(defines, holds.length > 0 ? "-O2" : "-O0");
  for (const claim of [...holds, ...falls]) {
    const { errors, states } = search(claim);
    const isExpected = errors === (holds.includes(claim) ? 0 : 1);
    const found = errors === 0 ? "holds" : "falls";
    const variant = defines.length === 0 ? "" : `, ${defines.join(" ")}`;
    console.log(`${isExpected ? "ok" : "NOT OK"}: ${claim} ${found}${variant} (${states} states)`);
    if (isExpected) continue;
    failures += 1;
    if (errors > 0)
      console.log(`  the run: spin ${options(defines).join(" ")} -t -p calls.pml, in ${folder}`);
  }
}
process.exit(failures > 0 ? 1 : 0);

function findSpin() {
  if (spawnSync("gcc", ["--version"]).error) return { absent: "gcc is not installed" };
  if (!spawnSync("spin", ["-V"]).error) return { path: "spin" };
  const path = join(cache, "spin", "usr", "bin", "spin");
  if (existsSync(path)) return { path };
  for (const tool of DEBIAN_TOOLS) {
    if (spawnSync(tool, ["--version"]).error) return { absent: `${tool} is not installed` };
  }
  console.log("models: getting Spin …");
  rmSync(cache, { recursive: true, force: true });
  mkdirSync(cache, { recursive: true });
  try {
    unpackPackages(["spin"], join(cache, "spin"));
  } catch (error) {
    return { absent: error.message };
  }
  return { path };
}

/** Makes the program that searches a variant's states; optimised, where those are many. */
function build(defines, optimisation) {
  run(spin.path, [...options(defines), "-a", "calls.pml"], { cwd: folder });
  const limits = `-DMEMLIM=${MAX_MEMORY}`;
  run("gcc", [optimisation, "-w", limits, "-o", "pan", "pan.c"], { cwd: folder });
}

function options(defines) {
  return defines.map((define) => `-D${define}`);
}

/** The number of errors, and of states: all that there are, unless there is an error. */
function search(claim) {
  const said = run(join(folder, "pan"), ["-a", "-N", claim], { cwd: folder });
  const [, errors] = /errors: (\d+)/.exec(said) ?? [];
  const [, states] = /(\d+) states, stored/.exec(said) ?? [];
  if (errors === undefined || (errors === "0" && /not completed/.test(said))) {
    throw new Error(`${claim}: the search did not end:\n${said}`);
  }
  return { errors: Number(errors), states: Number(states).toLocaleString("en") };
}
