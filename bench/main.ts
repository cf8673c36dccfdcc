/**
 * `npm run bench`: every contender side by side in one run, interleaved rounds, medians. Machines
 * are shared and noisy, so only the ratios within one run mean anything.
 */
import { Contender, type Measured } from "./contender.ts";
import type { Load } from "./load.ts";

interface Row {
  readonly name: string;
  readonly load: Omit<Load, "durationMs">;
  /** Which figure the row is about. */
  readonly figure: "rate" | "latency";
}

const ROWS: readonly Row[] = [
  {
    name: "unary 100 B, 64 outstanding",
    load: { bytes: 100, outstanding: 64, besideStream: false },
    figure: "rate",
  },
  {
    name: "unary 100 B, 1 outstanding",
    load: { bytes: 100, outstanding: 1, besideStream: false },
    figure: "rate",
  },
  {
    name: "unary 64 KiB, 16 outstanding",
    load: { bytes: 65_536, outstanding: 16, besideStream: false },
    figure: "rate",
  },
  {
    name: "unary 100 B beside a 1 MiB stream",
    load: { bytes: 100, outstanding: 1, besideStream: true },
    figure: "latency",
  },
];

const short = process.argv.includes("--short");
if (process.argv.includes("--help")) {
  console.log(
    "usage: npm run bench [-- --short]\n\n  --short   fewer and shorter rounds, about 40 s",
  );
  process.exit(0);
}
const rounds = short ? 3 : 7;
const durationMs = short ? 700 : 2000;

const contenders = [
  await Contender.plaintext(),
  await Contender.tls(),
  await Contender.sealed(),
] as const;

for (const row of ROWS) {
  const results = new Map<Contender, Measured[]>(contenders.map((contender) => [contender, []]));
  // The first round warms up and does not count.
  for (let round = 0; round <= rounds; round++) {
    for (const contender of contenders) {
      progress(`${row.name}: round ${round} of ${rounds}, ${contender.name}`);
      const measured = await contender.measure({ ...row.load, durationMs });
      if (round > 0) results.get(contender)?.push(measured);
    }
  }
  progress("");
  print(row, results);
}
for (const contender of contenders) contender.stop();

function print(row: Row, results: ReadonlyMap<Contender, readonly Measured[]>): void {
  console.log(`\n${row.name}`);
  const unit = row.figure === "rate" ? "calls/s" : "p50 ms";
  console.log(
    `  ${"".padEnd(28)}${unit.padStart(10)}${"min..max".padStart(18)}${"ratio".padStart(8)}` +
      `${"CPU us/call".padStart(13)}${"ratio".padStart(8)}${"p99 ms".padStart(9)}`,
  );
  let base: { figure: number; cpu: number } | undefined;
  for (const [contender, measured] of results) {
    const figures = measured.map((m) => (row.figure === "rate" ? m.callsPerSecond : m.p50Ms));
    const figure = median(figures);
    const cpu = median(measured.map((m) => m.cpuMicrosecondsPerCall));
    base ??= { figure, cpu };
    const digits = row.figure === "rate" ? 0 : 2;
    const spread = `${Math.min(...figures).toFixed(digits)}..${Math.max(...figures).toFixed(digits)}`;
    const beside = median(measured.map((m) => m.streamMibPerSecond)).toFixed(0);
    const cells = [
      figure.toFixed(digits).padStart(10),
      spread.padStart(18),
      (figure / base.figure).toFixed(2).padStart(8),
      cpu.toFixed(0).padStart(13),
      (cpu / base.cpu).toFixed(2).padStart(8),
      median(measured.map((m) => m.p99Ms))
        .toFixed(2)
        .padStart(9),
      row.load.besideStream ? `   (stream ${beside} MiB/s)` : "",
    ];
    console.log(`  ${contender.name.padEnd(28)}${cells.join("")}`);
  }
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

/** One line that is overwritten, on a terminal only. */
function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\u001b[K${text}`);
}
