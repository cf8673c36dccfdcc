/** Percentiles. */
import type { Done } from "./work.ts";

/** Sorts what it is given. */
export function latencyFigures(latencies: number[]): Pick<Done, "p50Ms" | "p99Ms"> {
  latencies.sort((a, b) => a - b);
  const at = (share: number): number => latencies[Math.floor(share * (latencies.length - 1))] ?? 0;
  return { p50Ms: at(0.5), p99Ms: at(0.99) };
}
