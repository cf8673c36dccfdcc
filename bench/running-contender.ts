/** A contender's processes, from the first round that needs them to the last. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ContenderKind, Setting, Stage } from "./contenders.ts";
import { Program } from "./program.ts";
import type { Reachable } from "./programs/reachable.ts";

/** Client, server, and what stands between. */
export type Side = Stage["side"];
export type PerSide = Readonly<Record<Side, number>>;

const MEMORY_TIMEOUT_MS = 30_000;
const MIB = 1024 * 1024;

export class RunningContender {
  readonly #kind: ContenderKind;
  readonly #programs: [Program, Side][] = [];
  readonly #clients: Program[] = [];
  readonly #folder: string = mkdtempSync(join(tmpdir(), "sealrpc-bench-"));
  #reachable: Reachable = { address: "", folder: this.#folder };

  private constructor(kind: ContenderKind) {
    this.#kind = kind;
    process.on("exit", this.#clean);
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

  /** A client's process: the same number, the same client. */
  async client(number: number): Promise<Program> {
    const running = this.#clients[number];
    if (running !== undefined) return running;
    const [program] = await Program.start("client", { ...this.#reachable, ...this.#kind.client });
    this.#programs.push([program, "client"]);
    this.#clients[number] = program;
    return program;
  }

  /** Of the process that needs most: a forwarder has a connection on either side. */
  get descriptorsPerClient(): number {
    return this.#kind.way.some(({ program }) => program === "forwarder") ? 2 : 1;
  }

  /** CPU time until now. */
  get cpuMicroseconds(): PerSide {
    return this.#sum((program) => program.cpuMicroseconds);
  }

  /** The most memory that was resident since `resetPeak`, each process at its own time. */
  get peakMib(): PerSide {
    return this.#sum((program) => program.peakMib);
  }

  resetPeak(): void {
    for (const [program] of this.#programs) program.resetPeak();
  }

  /** What is resident after a garbage collection. */
  async residentMib(): Promise<PerSide> {
    const resident = new Map<Program, number>();
    for (const [program] of this.#programs) {
      const { rssBytes } = await program.call<{ rssBytes: number }>(
        "memory",
        undefined,
        MEMORY_TIMEOUT_MS,
      );
      resident.set(program, rssBytes / MIB);
    }
    return this.#sum((program) => resident.get(program) ?? 0);
  }

  stop(): void {
    for (const [program] of this.#programs) program.stop();
    process.off("exit", this.#clean);
    this.#clean();
  }

  readonly #clean = (): void => rmSync(this.#folder, { recursive: true, force: true });

  #sum(of: (program: Program) => number): PerSide {
    const sum = { client: 0, host: 0, server: 0 };
    for (const [program, side] of this.#programs) sum[side] += of(program);
    return sum;
  }
}
