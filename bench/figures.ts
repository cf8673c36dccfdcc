/** What is measured: names, units, and what is made of several rounds. */

export interface FigureKind {
  /** The head of its column; "call" stands for what the load counts. */
  readonly title: string;
  readonly digits: number;
}

export type Figure =
  | "callsPerSecond"
  | "mibPerSecond"
  | "p50Ms"
  | "p99Ms"
  | "retries"
  | "besideMibPerSecond"
  | "cpuUs"
  | "clientCpuUs"
  | "hostCpuUs"
  | "serverCpuUs"
  | "clientPeakMib"
  | "hostPeakMib"
  | "serverPeakMib"
  | "operationUs"
  | "clientKib"
  | "hostKib"
  | "serverKib"
  | "clientGrownMib"
  | "hostGrownMib"
  | "serverGrownMib";

export const FIGURES: Readonly<Record<Figure, FigureKind>> = {
  callsPerSecond: { title: "calls/s", digits: 0 },
  mibPerSecond: { title: "MiB/s", digits: 1 },
  p50Ms: { title: "p50 ms", digits: 2 },
  p99Ms: { title: "p99 ms", digits: 2 },
  /** Handshakes that were made again. */
  retries: { title: "retries", digits: 0 },
  besideMibPerSecond: { title: "beside MiB/s", digits: 0 },
  /** Of each call, or of what else a load counts. */
  cpuUs: { title: "CPU us/call", digits: 0 },
  clientCpuUs: { title: "client's", digits: 0 },
  hostCpuUs: { title: "host's", digits: 0 },
  serverCpuUs: { title: "server's", digits: 0 },
  /** The most that was resident. */
  clientPeakMib: { title: "client peak MiB", digits: 0 },
  hostPeakMib: { title: "host peak MiB", digits: 0 },
  serverPeakMib: { title: "server peak MiB", digits: 0 },
  operationUs: { title: "CPU us", digits: 2 },
  /** Resident, of each idle session. */
  clientKib: { title: "client KiB", digits: 1 },
  hostKib: { title: "host KiB", digits: 1 },
  serverKib: { title: "server KiB", digits: 1 },
  /** Resident, beyond what was before. */
  clientGrownMib: { title: "client +MiB", digits: 1 },
  hostGrownMib: { title: "host +MiB", digits: 1 },
  serverGrownMib: { title: "server +MiB", digits: 1 },
};

/** What one round gave. */
export type Sample = Readonly<Partial<Record<Figure, number>>>;

export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** Of the rounds that have the figure; `undefined` where none has. */
export function spreadOf(samples: readonly Sample[], figure: Figure): Spread | undefined {
  return spread(samples.map((sample) => sample[figure]));
}

/**
 * Of the ratios of one round each: what slows a machine down for a while slows both, and the ratio
 * stays.
 */
export function ratioOf(
  samples: readonly Sample[],
  base: readonly Sample[],
  figure: Figure,
): Spread | undefined {
  return spread(
    samples.map((sample, round) => {
      const [value, against] = [sample[figure], base[round]?.[figure]];
      return value === undefined || against === undefined ? undefined : value / against;
    }),
  );
}

/** Of those that are numbers; `undefined` where none is. */
export function spread(values: readonly (number | undefined)[]): Spread | undefined {
  const sorted = values
    .filter((value) => value !== undefined && Number.isFinite(value))
    .sort((a, b) => Number(a) - Number(b)) as number[];
  const [min, max] = [sorted[0], sorted.at(-1)];
  if (min === undefined || max === undefined) return undefined;
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? max;
  const median = sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2;
  return { median, min, max };
}
