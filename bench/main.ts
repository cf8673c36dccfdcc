/**
 * `npm run bench`: every contender side by side in one run, interleaved rounds, medians. Machines
 * are shared and noisy, so only the ratios within one run mean anything.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { chart } from "./chart.ts";
import { type BenchCommand, parseCommand } from "./command.ts";
import { withTables } from "./document.ts";
import { ForeignLoad } from "./foreign-load.ts";
import { judge } from "./goals.ts";
import type { Load } from "./load.ts";
import { LOADS } from "./loads.ts";
import { describeMachine } from "./machine.ts";
import { Progress } from "./progress.ts";
import { stopAllPrograms } from "./program.ts";
import type { LoadReport, Report } from "./report.ts";
import { Runner } from "./runner.ts";
import { foreignLine, goalTable, headLines, loadTable } from "./table.ts";

const command = parseCommand(process.argv);
for (const [signal, status] of [
  ["SIGINT", 130],
  ["SIGTERM", 143],
] as const) {
  process.once(signal, () => process.exit(status));
}
process.on("exit", stopAllPrograms);

const { mode, rounds, roundMs, warmUpMs, loadNames } = command;
const about = { startedAt: new Date().toISOString(), mode, rounds, roundMs, warmUpMs };
const machine = describeMachine();
const foreign = new ForeignLoad();
const printed: string[] = [];
print(headLines({ ...about, machine }));

const loads = await runAll(
  LOADS.filter(({ name, inShort }) => loadNames?.has(name) ?? (mode === "full" || inShort)),
);
const goals = judge(loads);
if (goals.length > 0) print(`\n${goalTable(goals)}`);
const { share } = foreign;
const repeated = loads.reduce((sum, { repeatedRounds }) => sum + repeatedRounds, 0);
if (!Number.isNaN(share)) print(`\n${foreignLine(share, repeated)}`);

const foreignLoad = Number.isNaN(share) ? null : share;
write(command, { ...about, machine, foreignLoad, loads, goals });
const failures = loads.flatMap((load) =>
  load.contenders.flatMap(({ name, error }) => (error === undefined ? [] : [[load.name, name]])),
);
for (const [load, contender] of failures) console.error(`error: ${contender} failed at ${load}`);
process.exit(failures.length > 0 || process.exitCode === 1 ? 1 : 0);

async function runAll(chosen: readonly Load[]): Promise<LoadReport[]> {
  const { contenderNames: only } = command;
  const progress = new Progress();
  const reports: LoadReport[] = [];
  let number = 0;
  const runner = new Runner({
    rounds,
    roundMs,
    warmUpMs,
    ...(only === undefined ? {} : { only }),
    onProgress: (text) => progress.step(number, chosen.length, text),
  });
  for (const load of chosen) {
    progress.load(++number, chosen.length, load.title);
    const report = await runner.run(load);
    progress.clear();
    await runner.release(chosen.slice(number));
    if (report.contenders.length === 0) continue;
    print(`\n${loadTable(report)}`);
    reports.push(report);
  }
  return reports;
}

function print(text: string): void {
  console.log(text);
  printed.push(text);
}

function write({ jsonFile, svgFile, documentFile }: BenchCommand, report: Report): void {
  try {
    if (jsonFile !== undefined) writeFileSync(jsonFile, `${JSON.stringify(report, null, 2)}\n`);
    if (svgFile !== undefined) writeFileSync(svgFile, chart(report));
    if (documentFile !== undefined) {
      const text = withTables(readFileSync(documentFile, "utf8"), printed.join("\n"));
      writeFileSync(documentFile, text);
    }
  } catch (error) {
    console.error(`error: ${error instanceof Error ? error.message : String(error)}`);
    process.exitCode = 1;
  }
}
