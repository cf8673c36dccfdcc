// Other programs, run to their end.
import { spawnSync } from "node:child_process";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Gives what a command printed; `options` are those of spawnSync. Throws what it said last, if it failed. */
export function run(command, args, options = {}) {
  const { status, error, stdout, stderr } = spawnSync(command, args, {
    cwd: root,
    stdio: ["ignore", "pipe", "pipe"],
    encoding: "utf8",
    maxBuffer: 64 * 1024 * 1024,
    ...options,
  });
  if (error || status !== 0) {
    const said = (error?.message ?? stderr).trim().split("\n").at(-1);
    throw new Error(`\`${[command, ...args.slice(-3)].join(" ")}\` failed: ${said}`);
  }
  return stdout;
}
