/**
 * Runs one two-way flood and prints what came of it as JSON. Started by a test in a network
 * namespace whose kernel buffers it has shrunk. Arguments: `bare` or `sealrpc`, the client's window
 * and the front window in bytes, milliseconds to run, and the path of a Unix socket for the back hop,
 * or nothing for TCP.
 */
import { startProxy } from "../../services/proxy/index.ts";
import { keepsFlowing, startBareProxy, startFlood, startFloodEnclave } from "../support/flood.ts";

const [kind, clientWindow, frontWindow, runMs, path] = process.argv.slice(2);
const counts = { down: 0, up: 0 };
const enclave = await startFloodEnclave(counts, path);
const proxy =
  kind === "bare"
    ? await startBareProxy(
        path === undefined ? { port: enclave.port } : { path },
        Number(frontWindow),
      )
    : await startProxy({
        enclave: path === undefined ? `127.0.0.1:${enclave.port}` : `unix:${path}`,
        listen: "127.0.0.1:0",
        windowBytes: Number(frontWindow),
      });
const port = "port" in proxy ? proxy.port : Number(proxy.address.split(":").at(-1));
await startFlood({ port }, counts, { streams: 2, windowBytes: Number(clientWindow) });
const flowed = await keepsFlowing(counts, { runMs: Number(runMs), stillMs: 1000 });
process.stdout.write(`${JSON.stringify({ flowed, ...counts })}\n`);
process.exit(0);
