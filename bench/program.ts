/** A process of the benchmark, as its parent sees it. */
import { type ChildProcess, fork } from "node:child_process";
import { type Answer, READY_ID, type Request } from "./programs/child.ts";
import { cpuMicroseconds, endedChildrenMicroseconds, peakMib, resetPeak } from "./usage.ts";

const START_TIMEOUT_MS = 30_000;
const running = new Set<ChildProcess>();

/** Ends every process that was started; those that do not end by themselves are killed. */
export function stopAllPrograms(): void {
  for (const child of running) child.kill("SIGKILL");
}

/** CPU time of this process and of all that it started, those that have ended included. */
export function ownMicroseconds(): number {
  const live = [process.pid, ...[...running].map(({ pid }) => pid ?? 0)];
  return live.reduce((sum, pid) => sum + cpuMicroseconds(pid), endedChildrenMicroseconds());
}

interface Waiting {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** For every program of every contender: how docs/operations.md says to start what moves much. */
export const NODE_FLAGS: readonly string[] = ["--expose-gc", "--heap-growing-percent=300"];

export class Program {
  readonly name: string;
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, Waiting>();
  #lastId = READY_ID;
  #end: Error | undefined;

  private constructor(name: string, options: object) {
    this.name = name;
    this.#child = fork(new URL(`programs/${name}.js`, import.meta.url), [JSON.stringify(options)], {
      stdio: ["ignore", "inherit", "inherit", "ipc"],
      execArgv: [...NODE_FLAGS],
    });
    running.add(this.#child);
    this.#child.on("message", (answer: Answer) => {
      const waiting = this.#waiting.get(answer.id);
      this.#waiting.delete(answer.id);
      if ("error" in answer) waiting?.reject(new Error(`${name}: ${answer.error}`));
      else waiting?.resolve(answer.result);
    });
    this.#child.on("exit", (code, signal) => {
      running.delete(this.#child);
      this.#end = new Error(`${name} ended early (${signal ?? code})`);
      for (const { reject } of this.#waiting.values()) reject(this.#end);
      this.#waiting.clear();
    });
    this.#child.on("error", () => {});
  }

  /** Starts a program of bench/programs; resolves with what it said when it was ready. */
  static async start<Ready>(name: string, options: object): Promise<[Program, Ready]> {
    const program = new Program(name, options);
    return [program, (await program.#answer(READY_ID, START_TIMEOUT_MS)) as Ready];
  }

  /**
   * Has the program do something.
   *
   * @throws Error when it fails, ends, or takes longer than `timeoutMs`.
   */
  async call<Result>(command: string, argument: unknown, timeoutMs: number): Promise<Result> {
    if (this.#end !== undefined) throw this.#end;
    const id = ++this.#lastId;
    const answer = this.#answer(id, timeoutMs);
    this.#child.send({ id, command, argument } satisfies Request);
    return (await answer) as Result;
  }

  get cpuMicroseconds(): number {
    return cpuMicroseconds(this.#child.pid ?? 0);
  }

  get peakMib(): number {
    return peakMib(this.#child.pid ?? 0);
  }

  resetPeak(): void {
    resetPeak(this.#child.pid ?? 0);
  }

  /** Lets it stand still, as a program whose machine sleeps. */
  suspend(): void {
    this.#child.kill("SIGSTOP");
  }

  resume(): void {
    this.#child.kill("SIGCONT");
  }

  stop(): void {
    this.#child.kill("SIGKILL");
  }

  async #answer(id: number, timeoutMs: number): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(id);
        reject(new Error(`${this.name} did not answer within ${timeoutMs / 1000} s`));
      }, timeoutMs);
      const settle =
        <T>(then: (value: T) => void) =>
        (value: T): void => {
          clearTimeout(timer);
          then(value);
        };
      this.#waiting.set(id, { resolve: settle(resolve), reject: settle(reject) });
    });
  }
}
