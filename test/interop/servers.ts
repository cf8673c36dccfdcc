/** The servers of the suite, each in an enclave behind the host's proxy, with a sidecar before it. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Policy, parsePolicyFile } from "../../services/client/index.ts";
import { RunningProgram } from "../support/processes.ts";
import type { ServerName } from "./cases.ts";

/** Official servers take a number and listen on all addresses; nothing else is in the namespace. */
const OFFICIAL_PORT = 10_000;

/** Through the sidecar or an attested channel, or with nothing between. */
export type Way = "sealed" | "plain";

export interface Server {
  readonly name: ServerName;
  /** Of the proxy. */
  readonly target: string;
  readonly policy: Policy;
  /** Where a plain client connects: to the sidecar, or to the same service with nothing between. */
  port(way: Way): Promise<number>;
  /** What all programs said. */
  logs(): string;
  close(): Promise<void>;
}

/** `TestService` on EnclaveServer; with nothing between, on grpc-js's own server. */
export async function startEnclaveServer(): Promise<Server> {
  const folder = mkdtempSync(join(tmpdir(), "interop-"));
  const enclave = new RunningProgram("test/interop/test-service-main.js", {
    args: ["sealed", `unix:${join(folder, "enclave")}`, join(folder, "policy.json")],
  });
  await enclave.says(/listening/);
  let plain: RunningProgram | undefined;
  return behind("EnclaveServer", folder, enclave, {
    async plainPort() {
      plain ??= new RunningProgram("test/interop/test-service-main.js", {
        args: ["plain", "127.0.0.1:0"],
      });
      const [, port] = await plain.says(/listening on (\d+)/);
      return Number(port);
    },
    async close() {
      await plain?.stop("SIGKILL");
    },
  });
}

/** An official server, which is started by a command and which `sealrpc enclave` bridges to. */
export async function startOfficialServer(
  name: ServerName,
  [program = "", ...args]: readonly string[],
): Promise<Server> {
  const folder = mkdtempSync(join(tmpdir(), "interop-"));
  const port = String(OFFICIAL_PORT);
  const server = spawn(program, [...args, `--port=${port}`, "--use_tls=false"], {
    stdio: "ignore",
  });
  const where = ["--listen", `unix:${join(folder, "enclave")}`, "--upstream", `127.0.0.1:${port}`];
  const attested = ["--attester", "simulator", "--write-policy", join(folder, "policy.json")];
  const enclave = new RunningProgram("cli/main.js", { args: ["enclave", ...where, ...attested] });
  await enclave.says(/"msg":"listening"/);
  return behind(name, folder, enclave, {
    plainPort: async () => OFFICIAL_PORT,
    close: async () => {
      const closed = once(server, "close");
      server.kill("SIGKILL");
      await closed;
    },
  });
}

/** Puts the proxy and the sidecar before an enclave that is listening in `folder`. */
async function behind(
  name: ServerName,
  folder: string,
  enclave: RunningProgram,
  plain: { plainPort(): Promise<number>; close(): Promise<void> },
): Promise<Server> {
  const policyFile = join(folder, "policy.json");
  const proxy = new RunningProgram("cli/main.js", {
    args: ["proxy", "--listen", "127.0.0.1:0", "--enclave", `unix:${join(folder, "enclave")}`],
  });
  const target = await addressOf(proxy);
  const sidecar = new RunningProgram("cli/main.js", {
    args: ["sidecar", "--listen", "127.0.0.1:0", "--target", target, "--policy", policyFile],
  });
  const address = await addressOf(sidecar);
  const programs = { enclave, proxy, sidecar };
  return {
    name,
    target,
    policy: parsePolicyFile(readFileSync(policyFile, "utf8")),
    port: async (way) => (way === "plain" ? plain.plainPort() : Number(address.split(":").at(-1))),
    logs: () =>
      Object.entries(programs)
        .map(([role, { stderr }]) => `${role}:\n${stderr.slice(-1000)}`)
        .join("\n"),
    async close() {
      for (const program of [sidecar, proxy, enclave]) await program.stop("SIGKILL");
      await plain.close();
      rmSync(folder, { recursive: true });
    },
  };
}

async function addressOf(program: RunningProgram): Promise<string> {
  const [, address = ""] = await program.says(/"address":"([^"]+)".*"msg":"listening"/);
  return address;
}
