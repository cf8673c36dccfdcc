/**
 * `npm run bench`: every contender side by side in one run, interleaved rounds, medians. Machines
 * are shared and noisy, so only the ratios within one run mean anything.
 */
import { writeFileSync } from "node:fs";
import { parseCommand } from "./command.ts";
import { ForeignLoad } from "./foreign-load.ts";
import { judge } from "./goals.ts";
import { LOADS } from "./loads.ts";
import { describeMachine } from "./machine.ts";
import { Progress } from "./progress.ts";
import { stopAllPrograms } from "./program.ts";
import type { LoadReport, Report } from "./report.ts";
import { Runner } from "./runner.ts";
import { goalTable, loadTable, machineLine } from "./table.ts";

/** Above that share of others, rates and latencies say more of them. */
const QUIET = 0.1;

const { mode, rounds, roundMs, loadNames, contenderNames, jsonFile } = parseCommand(process.argv);
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => process.exit(signal === "SIGINT" ? 130 : 143));
}
process.on("exit", stopAllPrograms);

const startedAt = new Date().toISOString();
const machine = describeMachine();
console.log(`${startedAt.slice(0, 10)}, ${machineLine(machine)}`);
console.log(`${rounds} rounds of ${roundMs} ms a contender; ratios are medians over rounds`);

const foreign = new ForeignLoad();
const loads = LOADS.filter(
  ({ name, inShort }) => loadNames?.has(name) ?? (mode === "full" || inShort),
);
const progress = new Progress();
const reports: LoadReport[] = [];
let number = 0;
const runner = new Runner({
  rounds,
  roundMs,
  ...(contenderNames === undefined ? {} : { only: contenderNames }),
  onProgress: (text) => progress.step(number, loads.length, text),
});
for (const load of loads) {
  progress.load(++number, loads.length, load.title);
  const report = await runner.run(load);
  progress.clear();
  if (report.contenders.length === 0) continue;
  console.log(`\n${loadTable(report)}`);
  reports.push(report);
  await runner.release(loads.slice(number));
}
const goals = judge(reports);
if (goals.length > 0) console.log(`\n${goalTable(goals)}`);
const { share } = foreign;
if (share > QUIET) {
  const percent = (100 * share).toFixed(0);
  console.log(`\nothers used ${percent} % of this machine meanwhile: only ratios of CPU time hold`);
}
const foreignLoad = Number.isNaN(share) ? null : share;
const about = { startedAt, mode, rounds, roundMs, machine, foreignLoad };
const report: Report = { ...about, loads: reports, goals };
if (jsonFile !== undefined) writeFileSync(jsonFile, `${JSON.stringify(report, null, 2)}\n`);
const failed = reports.flatMap(({ name, contenders }) =>
  contenders.filter(({ error }) => error !== undefined).map((contender) => [name, contender.name]),
);
for (const [load, contender] of failed) console.error(`error: ${contender} failed at ${load}`);
process.exit(failed.length > 0 ? 1 : 0);
