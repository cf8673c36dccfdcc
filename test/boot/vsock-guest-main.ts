/**
 * The program of the guest whose transport is tested: has each Node run the cases (vsock-cases.ts), those that
 * its arguments name, then its own. The first moves most bytes, since all of them would take minutes.
 */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const MIB = 1024 * 1024;
const cases = fileURLToPath(new URL("vsock-cases-main.js", import.meta.url));
// A deprecation is an error.
const flags = ["--pending-deprecation", "--throw-deprecation"];

for (const [index, node] of [...process.argv.slice(2), process.execPath].entries()) {
  const bytes = String((index === 0 ? 64 : 4) * MIB);
  const { status, error } = spawnSync(node, [...flags, cases, bytes], { stdio: "inherit" });
  console.log(`${node} has ended with ${error?.message ?? `status ${status}`}`);
}
// Until the host pulls the plug.
setInterval(() => {}, 2 ** 30);
