/** A contender's processes, from the first round that needs them to the last. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ContenderKind, Stage } from "./contenders.ts";
import type { Sample } from "./figures.ts";
import type { RoundsLoad, Setting } from "./loads.ts";
import { Program } from "./program.ts";
import type { Reachable } from "./programs/reachable.ts";
import type { Done, Work } from "./work/work.ts";

type Side = Stage["side"];

/** What a round may take beyond its time. */
const PATIENCE_MS = 30_000;
/** A stream is under way before the calls beside it count. */
const LEAD_MS = 200;
/** What was on its way when a round ended is gone by then. */
const SETTLE_MS = 50;

export class RunningContender {
  readonly #kind: ContenderKind;
  readonly #programs: [Program, Side][] = [];
  readonly #clients: Program[] = [];
  readonly #folder = mkdtempSync(join(tmpdir(), "sealrpc-bench-"));
  #reachable: Reachable = { address: "", folder: this.#folder };

  private constructor(kind: ContenderKind) {
    this.#kind = kind;
  }

  /** @throws Error when a process does not start. */
  static async start(
    kind: ContenderKind,
    { roundTripMs, ...setting }: Setting = {},
  ): Promise<RunningContender> {
    const contender = new RunningContender(kind);
    const link: Stage = { program: "forwarder", side: "host", options: { roundTripMs } };
    try {
      for (const stage of roundTripMs === undefined ? kind.way : [...kind.way, link]) {
        const { program, side, options } = stage;
        const [running, ready] = await Program.start<Partial<Reachable>>(program, {
          ...contender.#reachable,
          ...setting,
          ...options,
        });
        contender.#programs.push([running, side]);
        contender.#reachable = { ...contender.#reachable, ...ready };
      }
      return contender;
    } catch (error) {
      contender.stop();
      throw error;
    }
  }

  /** @throws Error when a process fails, ends or hangs. */
  async measure(load: RoundsLoad, durationMs: number): Promise<Sample> {
    const client = await this.#client(0);
    const other = load.beside?.on === "other" ? await this.#client(1) : client;
    const timeoutMs = durationMs + LEAD_MS + PATIENCE_MS;
    for (const [program] of this.#programs) program.resetPeak();
    const beside =
      load.beside &&
      run(other, { ...load.beside.work, durationMs: timeoutMs }, "beside", timeoutMs * 2);
    // It is awaited below, after what may fail before.
    beside?.catch(() => {});
    if (beside !== undefined) await pause(LEAD_MS);
    const before = this.#cpu();
    const done = await run(client, { ...load.work, durationMs }, "work", timeoutMs);
    const after = this.#cpu();
    let besideMibPerSecond: number | undefined;
    if (beside !== undefined) {
      await other.call("stop", "beside", timeoutMs);
      const { mib, seconds } = await beside;
      besideMibPerSecond = mib / seconds;
    }
    await pause(SETTLE_MS);
    const count = load.per === "call" ? done.calls : done.mib;
    const cpu = (side: Side): number => (after[side] - before[side]) / count;
    return {
      callsPerSecond: done.calls / done.seconds,
      mibPerSecond: done.mib / done.seconds,
      ...(done.p50Ms === undefined ? {} : { p50Ms: done.p50Ms }),
      ...(done.p99Ms === undefined ? {} : { p99Ms: done.p99Ms }),
      ...(besideMibPerSecond === undefined ? {} : { besideMibPerSecond }),
      cpuUs: cpu("client") + cpu("host") + cpu("server"),
      clientCpuUs: cpu("client"),
      hostCpuUs: cpu("host"),
      serverCpuUs: cpu("server"),
      clientPeakMib: this.#peakMib("client"),
      hostPeakMib: this.#peakMib("host"),
      serverPeakMib: this.#peakMib("server"),
    };
  }

  stop(): void {
    for (const [program] of this.#programs) program.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #client(index: number): Promise<Program> {
    const running = this.#clients[index];
    if (running !== undefined) return running;
    const [program] = await Program.start("client", { ...this.#reachable, ...this.#kind.client });
    this.#programs.push([program, "client"]);
    this.#clients[index] = program;
    return program;
  }

  #cpu(): Record<Side, number> {
    const used = { client: 0, host: 0, server: 0 };
    for (const [program, side] of this.#programs) used[side] += program.cpuMicroseconds;
    return used;
  }

  #peakMib(of: Side): number {
    return this.#programs
      .filter(([, side]) => side === of)
      .reduce((sum, [program]) => sum + program.peakMib, 0);
  }
}

async function run(client: Program, work: Work, key: string, timeoutMs: number): Promise<Done> {
  return client.call<Done>("run", { work, key }, timeoutMs);
}

async function pause(ms: number): Promise<void> {
  await new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
