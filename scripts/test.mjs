// Runs the built tests with Node's own runner: all of them, or those whose path contains an
// argument (`npm test -- channel/frame`). Node 20 and 22 disagree about folders and globs, so the
// files are named one by one. What needs toolchains of other languages is `npm run test:interop`, what
// boots enclaves `npm run test:enclave`.
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const apart = ["interop", "boot"].map((name) => join("dist", "test", name));
const wanted = process.argv.slice(2);
const files = readdirSync(join(root, "dist", "test"), { recursive: true })
  .filter((name) => name.endsWith(".test.js"))
  .map((name) => join("dist", "test", name))
  .filter((path) => !apart.includes(dirname(path)))
  .filter((path) => wanted.length === 0 || wanted.some((text) => path.includes(text)))
  .sort();
if (files.length === 0) {
  console.error(`No test file matches ${wanted.join(", ")}.`);
  process.exit(2);
}
const { status } = spawnSync(
  process.execPath,
  ["--enable-source-maps", "--test", "--test-concurrency=2", ...files],
  { cwd: root, stdio: "inherit" },
);
process.exit(status ?? 1);
