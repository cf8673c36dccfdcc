/** The processes of the demo, each of which ends with it. */
import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Chapter } from "../story.ts";

const running = new Set<ChildProcess>();
process.once("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

/** A process that was started. */
export class Program {
  readonly #name: string;
  readonly #child: ChildProcess;
  #output = "";
  #changed: () => void = () => {};
  #over = false;

  /** `script` is relative to the built example. */
  constructor(script: string, words: readonly string[], flags: Readonly<Record<string, string>>) {
    this.#name = script;
    const args = [
      ...words,
      ...Object.entries(flags).flatMap(([name, value]) => [`--${name}`, value]),
    ];
    const path = fileURLToPath(new URL(`../${script}`, import.meta.url));
    this.#child = fork(path, args, { stdio: ["ignore", "pipe", "pipe", "ipc"] });
    running.add(this.#child);
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.setEncoding("utf8").on("data", (text: string) => {
        this.#output += text;
        this.#changed();
      });
    }
    this.#child.once("close", () => {
      running.delete(this.#child);
      this.#over = true;
      this.#changed();
    });
  }

  /** The first match in its output. Throws when it ends without one. */
  async says(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const match = pattern.exec(this.#output);
      if (match) return match;
      if (this.#over) throw new Error(`${this.#name} failed:\n${this.#output}`);
      await new Promise<void>((resolve) => (this.#changed = resolve));
    }
  }

  /** Shows each chapter that the client tells, and lets it go on after; until it has ended. */
  async follow(show: (chapter: Chapter) => void): Promise<void> {
    this.#child.on("message", (message) => {
      show(message as Chapter);
      this.#child.send("shown");
    });
    while (!this.#over) await new Promise<void>((resolve) => (this.#changed = resolve));
    if (this.#child.exitCode !== 0) throw new Error(`${this.#name} failed:\n${this.#output}`);
  }

  async stop(): Promise<void> {
    this.#child.kill("SIGTERM");
    while (!this.#over) await new Promise<void>((resolve) => (this.#changed = resolve));
  }
}
