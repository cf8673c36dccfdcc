// Installs and builds what is missing, and says so; at once when nothing changed.
// Uses Node's own modules only, since it runs before anything is installed.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const sources = [
  "crypto",
  "attestation",
  "channel",
  "transport",
  "services",
  "image",
  "cli",
  "examples",
  "bench",
  "test",
];
const quiet = process.argv.includes("--quiet");

const [major, minor] = process.versions.node.split(".").map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  console.error(`sealrpc needs Node 20.19 or newer; this is ${process.version}.`);
  process.exit(2);
}

step("install", hashOf(["package.json", "package-lock.json", ".npmrc"]), "node_modules", () => {
  say("Installing dependencies (once; about 15 s) …");
  run("npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error"]);
});
step("build", hashOf(["tsconfig.json", "package-lock.json", ...sources]), "dist", () => {
  say("Building …");
  rmSync(join(root, "dist"), { recursive: true, force: true });
  run(process.execPath, [join("node_modules", "typescript", "bin", "tsc")]);
});

/** Runs `work` unless its result is there and was made from the same inputs. */
function step(name, inputs, result, work) {
  const stamp = join(root, ".cache", `${name}.stamp`);
  if (existsSync(join(root, result)) && existsSync(stamp) && readFileSync(stamp, "utf8") === inputs)
    return;
  work();
  mkdirSync(dirname(stamp), { recursive: true });
  writeFileSync(stamp, inputs);
}

function hashOf(paths) {
  const hash = createHash("sha256");
  for (const path of paths) add(hash, path);
  return hash.digest("hex");
}

function add(hash, path) {
  const absolute = join(root, path);
  if (!existsSync(absolute)) return;
  let entries;
  try {
    entries = readdirSync(absolute, { withFileTypes: true });
  } catch {
    hash.update(`${path}\0`).update(readFileSync(absolute));
    return;
  }
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    if (entry.isDirectory() || /\.(ts|json|proto)$/.test(entry.name))
      add(hash, join(path, entry.name));
  }
}

function run(command, args) {
  const { status, error } = spawnSync(command, args, {
    cwd: root,
    stdio: quiet ? ["ignore", 2, 2] : ["ignore", "inherit", "inherit"],
  });
  if (error || status !== 0) {
    console.error(
      `sealrpc: \`${[command, ...args].join(" ")}\` failed${error ? `: ${error.message}` : ` with status ${status}`}.`,
    );
    process.exit(1);
  }
}

function say(text) {
  console.error(text);
}
