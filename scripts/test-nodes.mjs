// Runs tests under each supported version of Node but the one at hand: those that stand on node:http2 itself,
// which is not alike in all, or those whose path contains an argument (`npm run test:nodes -- test` for all).
import { spawnSync } from "node:child_process";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { installNodes } from "./nodes.mjs";

const DEFAULT = ["test/proxy/", "test/bridge/", "test/http2/"];

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const own = Number(process.versions.node.split(".")[0]);
const given = process.argv.slice(2);

let nodes;
try {
  nodes = installNodes((text) => console.log(`nodes: ${text} …`));
} catch (error) {
  console.log(`nodes: skipped: ${error.message}`);
  process.exit(0);
}
const failed = [];
for (const { major, path } of nodes.filter((node) => node.major !== own)) {
  console.log(`nodes: tests under Node ${major} …`);
  const { status } = spawnSync(
    path,
    [join(root, "scripts", "test.mjs"), ...(given.length === 0 ? DEFAULT : given)],
    {
      cwd: root,
      stdio: "inherit",
      env: { ...process.env, PATH: `${dirname(path)}${delimiter}${process.env.PATH}` },
    },
  );
  if (status !== 0) failed.push(major);
}
if (failed.length > 0) {
  console.error(`nodes: tests failed under Node ${failed.join(", ")}.`);
  process.exit(1);
}
