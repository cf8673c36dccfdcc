/** Programs of this repository as processes of their own, for tests from end to end. */
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { repositoryRoot } from "./repository.ts";

/** What a finished program left. */
export interface Finished {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** How a program is started. */
export interface StartOptions {
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Whether the test writes its standard input; otherwise it has none. */
  readonly input?: boolean;
}

/** A program that runs. */
export class RunningProgram {
  readonly finished: Promise<Finished>;
  readonly #name: string;
  readonly #child: ChildProcessByStdio<Writable | null, Readable, Readable>;
  readonly #output = { stdout: "", stderr: "" };
  readonly #watchers = new Set<() => void>();
  #over = false;

  constructor(script: string, { args = [], env = {}, input = false }: StartOptions = {}) {
    this.#name = [script, ...args].join(" ");
    this.#child = spawn(
      process.execPath,
      ["--enable-source-maps", join(repositoryRoot, "dist", script), ...args],
      {
        cwd: repositoryRoot,
        env: { ...process.env, ...env },
        stdio: [input ? "pipe" : "ignore", "pipe", "pipe"],
      },
    ) as ChildProcessByStdio<Writable | null, Readable, Readable>;
    // It may end before it has read all.
    this.#child.stdin?.on("error", () => {});
    for (const stream of ["stdout", "stderr"] as const) {
      this.#child[stream].setEncoding("utf8").on("data", (text: string) => {
        this.#output[stream] += text;
        this.#changed();
      });
    }
    this.finished = new Promise((resolve, reject) => {
      this.#child.on("error", reject);
      this.#child.on("close", (status, signal) => {
        this.#over = true;
        this.#changed();
        resolve({ status, signal, ...this.#output });
      });
    });
    this.finished.catch(() => {});
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get stdout(): string {
    return this.#output.stdout;
  }

  get stderr(): string {
    return this.#output.stderr;
  }

  /** Writes to its standard input. */
  write(text: string): void {
    this.#child.stdin?.write(text);
  }

  /** Ends its standard input. */
  endInput(): void {
    this.#child.stdin?.end();
  }

  /**
   * Waits until the output matches, and gives the match.
   *
   * @throws Error with all output when the program ends before.
   */
  async says(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const match = pattern.exec(this.stdout) ?? pattern.exec(this.stderr);
      if (match) return match;
      if (this.#over) {
        throw new Error(`${this.#name} ended without ${pattern}:\n${this.stdout}${this.stderr}`);
      }
      await new Promise<void>((resolve) => {
        this.#watchers.add(resolve);
      });
    }
  }

  /** Sends a signal, and resolves when the program is over. */
  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<Finished> {
    if (!this.#over) this.#child.kill(signal);
    return this.finished;
  }

  #changed(): void {
    for (const watcher of this.#watchers) watcher();
    this.#watchers.clear();
  }
}

/** Runs a program to its end. */
export async function runProgram(script: string, ...args: readonly string[]): Promise<Finished> {
  return new RunningProgram(script, { args }).finished;
}
