/** The clients of the suite: what is installed of them, and how one runs a case. */
import { spawn } from "node:child_process";
import { join } from "node:path";
import * as grpc from "@grpc/grpc-js";
import { AttestedChannel } from "../../services/client/index.ts";
import { repositoryRoot } from "../support/repository.ts";
import type { CaseName, ClientName } from "./cases.ts";
import { javaCommand } from "./java-command.ts";
import { nodeCases } from "./node-cases.ts";
import { Stub } from "./node-stub.ts";
import type { Server, Way } from "./servers.ts";

/** What scripts/interop.mjs found: where a toolchain's part is, or why it is nowhere. */
export type Installed = Readonly<
  Record<"go" | "java" | "python", { readonly folder?: string; readonly absent?: string }>
>;

export interface Client {
  readonly name: ClientName;
  /** Why it cannot be run here. */
  readonly absent?: string | undefined;
  /** Runs a case; gives the client's output when it fails. */
  run(name: CaseName, server: Server, way: Way): Promise<string | undefined>;
}

const TIMEOUT_MS = 60_000;
const KEPT_OUTPUT = 4000;

/** Both cases that are about load reports need the policy that the official clients bring for them. */
const LOAD_POLICY =
  '--service_config_json={"loadBalancingConfig":[{"test_backend_metrics_load_balancer":{}}]}';
const SOAK = [
  "--soak_per_iteration_max_acceptable_latency_ms=10000",
  "--soak_overall_timeout_seconds=50",
];
const OFFICIAL_FLAGS: Partial<Record<CaseName, readonly string[]>> = {
  orca_per_rpc: [LOAD_POLICY],
  orca_oob: [LOAD_POLICY],
  rpc_soak: [...SOAK, "--soak_iterations=10"],
  channel_soak: [...SOAK, "--soak_iterations=5"],
};

/** All clients, whether they are installed or not. */
export function clientsOf({ go, java, python }: Installed): readonly Client[] {
  const { folder: pythonFolder = "" } = python;
  return [
    official("Go", go.absent, [join(go.folder ?? "", "client")]),
    official("Java", java.absent, javaCommand(java.folder, "TestServiceClient")),
    {
      name: "Python",
      absent: python.absent,
      run: (name, server, way) =>
        runCommand(
          [
            join(pythonFolder, "bin", "python"),
            join(repositoryRoot, "test", "interop", "python_client.py"),
          ],
          [`--test_case=${name}`],
          server.port(way),
          { PYTHONPATH: join(pythonFolder, "gen") },
        ),
    },
    { name: "grpc-js", run: runInProcess },
  ];
}

function official(
  name: ClientName,
  absent: string | undefined,
  command: readonly string[],
): Client {
  return {
    name,
    absent,
    run: (test, server, way) =>
      runCommand(
        command,
        ["--use_tls=false", `--test_case=${test}`, ...(OFFICIAL_FLAGS[test] ?? [])],
        server.port(way),
      ),
  };
}

async function runCommand(
  [program = "", ...before]: readonly string[],
  flags: readonly string[],
  port: Promise<number>,
  env: Readonly<Record<string, string>> = {},
): Promise<string | undefined> {
  const args = [...before, "--server_host=127.0.0.1", `--server_port=${await port}`, ...flags];
  const child = spawn(program, args, {
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
    timeout: TIMEOUT_MS,
    killSignal: "SIGKILL",
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output = (output + text).slice(-KEPT_OUTPUT);
    });
  }
  return new Promise((resolve) => {
    child.on("error", (error) => resolve(error.message));
    child.on("close", (status, signal) => {
      resolve(status === 0 ? undefined : `${output}\nexit ${signal ?? status}`);
    });
  });
}

async function runInProcess(name: CaseName, server: Server, way: Way): Promise<string | undefined> {
  const stubs: Stub[] = [];
  const target = way === "sealed" ? server.target : `127.0.0.1:${await server.port("plain")}`;
  const connect = (): Stub => {
    const options =
      way === "sealed"
        ? { channelOverride: new AttestedChannel(target, { policy: server.policy }) }
        : { "grpc.use_local_subchannel_pool": 1 };
    const stub = new Stub(new grpc.Client(target, grpc.credentials.createInsecure(), options));
    stubs.push(stub);
    return stub;
  };
  try {
    await nodeCases[name]?.(connect(), connect);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.stack : String(error);
  } finally {
    for (const stub of stubs) stub.close();
  }
}
