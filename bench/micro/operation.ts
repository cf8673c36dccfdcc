/** One thing that is timed by itself, in a loop. */
export interface Operation {
  readonly name: string;
  readonly title: string;
  /** Makes what it needs; gives what runs for a time and tells how long one takes, in microseconds. */
  prepare(): Promise<(durationMs: number) => Promise<number> | number>;
}

/** Runs something over and over. */
export function timed(run: () => void): (durationMs: number) => number {
  return (durationMs) => {
    const startMs = performance.now();
    let count = 0;
    let nowMs = startMs;
    // The clock is asked now and then only: it costs as much as a small operation.
    for (let batch = 1; nowMs - startMs < durationMs; batch = Math.min(2 * batch, 64)) {
      for (let i = 0; i < batch; i++) run();
      count += batch;
      nowMs = performance.now();
    }
    return ((nowMs - startMs) * 1000) / count;
  };
}
