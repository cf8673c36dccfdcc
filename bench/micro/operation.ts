/**
 * One thing that is timed by itself, in a loop. What counts is the process's CPU time, which other
 * processes of a busy machine do not add to.
 */
export interface Operation {
  readonly name: string;
  readonly title: string;
  /** Makes what it needs; gives what runs for a time and tells how long one takes, in microseconds. */
  prepare(): Promise<Timer>;
}

export type Timer = (durationMs: number) => Promise<number> | number;

/** Runs something over and over. */
export function timed(run: () => void): Timer {
  return (durationMs) => {
    const stopwatch = new Stopwatch();
    stopwatch.start();
    let count = 0;
    // The clock is asked now and then only: it costs as much as a small operation.
    for (let batch = 1; stopwatch.elapsedUs < durationMs * 1000; batch = Math.min(2 * batch, 64)) {
      for (let i = 0; i < batch; i++) run();
      count += batch;
    }
    return stopwatch.elapsedUs / count;
  };
}

/** CPU time of this process, of those parts of a loop that count. */
export class Stopwatch {
  #spentUs = 0;
  #startUs = 0;

  start(): void {
    this.#startUs = cpuUs();
  }

  stop(): void {
    this.#spentUs += cpuUs() - this.#startUs;
  }

  /** Without what is stopped. */
  get spentUs(): number {
    return this.#spentUs;
  }

  /** Since the last start. */
  get elapsedUs(): number {
    return cpuUs() - this.#startUs;
  }
}

function cpuUs(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}
