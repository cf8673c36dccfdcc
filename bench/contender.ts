/** What is measured side by side: each contender is a client, a server, and what stands between. */
import { fork, type ChildProcess } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Load, Result } from "./load.ts";
import type { Reachable } from "./serve.ts";

/** A result, and the CPU time that all processes of the contender spent on it. */
export interface Measured extends Result {
  readonly cpuMicrosecondsPerCall: number;
}

export class Contender {
  readonly name: string;
  readonly #processes: ChildProcess[];
  readonly #client: ChildProcess;

  private constructor(name: string, processes: ChildProcess[], client: ChildProcess) {
    this.name = name;
    this.#processes = processes;
    this.#client = client;
  }

  /** grpc-js to grpc-js, nothing between. */
  static async plaintext(): Promise<Contender> {
    const [server, reachable] = await start<Reachable>("serve.js", ["plain"]);
    return Contender.#withClient("plaintext grpc-js, direct", [server], reachable);
  }

  /** What a team would choose instead: TLS ended in the server, the host forwards bytes. */
  static async tls(): Promise<Contender> {
    const [server, { address, trust }] = await start<Reachable>("serve.js", ["tls"]);
    const [forwarder, front] = await start<Reachable>("forward.js", [address]);
    const reachable = { address: front.address, ...(trust === undefined ? {} : { trust }) };
    return Contender.#withClient("grpc-js over TLS, L4", [server, forwarder], reachable);
  }

  /** The product: an enclave behind a Unix socket, the proxy, the client. */
  static async sealed(): Promise<Contender> {
    const folder = mkdtempSync(join(tmpdir(), "sealrpc-bench-"));
    process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
    const socket = `unix:${join(folder, "enclave.sock")}`;
    const [server, { policy }] = await start<Reachable>("serve.js", ["enclave", socket]);
    const [proxy, front] = await start<Reachable>("proxy.js", [socket]);
    const reachable = { address: front.address, policy };
    return Contender.#withClient("sealrpc, through the proxy", [server, proxy], reachable);
  }

  static async #withClient(
    name: string,
    processes: ChildProcess[],
    reachable: Reachable,
  ): Promise<Contender> {
    const [client] = await start("load.js", [JSON.stringify(reachable)]);
    return new Contender(name, [...processes, client], client);
  }

  async measure(load: Load): Promise<Measured> {
    const before = this.#cpuMicroseconds();
    this.#client.send(load);
    const result = await nextMessage<Result & { error?: string }>(this.#client);
    if (result.error !== undefined) throw new Error(`${this.name}: ${result.error}`);
    const calls = (result.callsPerSecond * load.durationMs) / 1000;
    return { ...result, cpuMicrosecondsPerCall: (this.#cpuMicroseconds() - before) / calls };
  }

  stop(): void {
    for (const child of this.#processes) child.disconnect();
  }

  /** NaN where the system does not tell (it does on Linux). */
  #cpuMicroseconds(): number {
    let ticks = 0;
    for (const { pid } of this.#processes) {
      try {
        const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
        ticks += Number(fields[11]) + Number(fields[12]);
      } catch {
        return Number.NaN;
      }
    }
    return ticks * 10_000;
  }
}

async function start<T>(script: string, args: readonly string[]): Promise<[ChildProcess, T]> {
  const child = fork(new URL(script, import.meta.url), [...args], { stdio: "inherit" });
  return [child, await nextMessage<T>(child)];
}

async function nextMessage<T>(child: ChildProcess): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const failed = (): void => reject(new Error("a process of the benchmark ended early"));
    child.once("exit", failed);
    child.once("message", (message) => {
      child.off("exit", failed);
      resolve(message as T);
    });
  });
}
