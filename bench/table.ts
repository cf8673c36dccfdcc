/** The report for people. */
import { type Figure, FIGURES, ratioOf, spreadOf } from "./figures.ts";
import { QUIET_SHARE } from "./foreign-load.ts";
import type { ContenderReport, GoalReport, LoadReport, Report } from "./report.ts";

/** Figures of each side of a way share a column. */
const SIDES = ["client", "host", "server"];

interface Column {
  readonly title: string;
  readonly cell: (contender: ContenderReport) => string;
}

export function loadTable(load: LoadReport): string {
  const columns = columnsOf(load);
  const rows = load.contenders.map((contender) => columns.map(({ cell }) => cell(contender)));
  const remarks = load.contenders.flatMap(({ title, error, absence }) => [
    ...(error === undefined ? [] : [`  error: ${title}: ${error}`]),
    ...(absence === undefined ? [] : [`  not here: ${title}: ${absence}`]),
  ]);
  return [load.title, ...align([columns.map(({ title }) => title), ...rows]), ...remarks].join(
    "\n",
  );
}

export function goalTable(goals: readonly GoalReport[]): string {
  const rows = goals.map(({ work, against, goal, ratio, met }) => [
    work,
    against,
    goal,
    ratio === undefined ? "-" : `${ratio.toFixed(2)}x`,
    met === undefined ? "not measured" : met ? "met" : "MISSED",
  ]);
  return ["goals", ...align([["work", "against", "goal", "is", ""], ...rows], 2)].join("\n");
}

export function headLines(report: Omit<Report, "foreignLoad" | "loads" | "goals">): string {
  const { startedAt, mode, rounds, roundMs, warmUpMs, machine } = report;
  const { cpu, cores, memoryGib, system, node, nodeFlags, openssl, grpcJs, sealrpc } = machine;
  return [
    `${startedAt.slice(0, 10)}, sealrpc ${sealrpc}`,
    `${cpu}, ${cores} cores, ${memoryGib} GiB, ${system}`,
    `Node ${node} with ${nodeFlags.join(" ")}, OpenSSL ${openssl}, grpc-js ${grpcJs}`,
    `${mode}: ${rounds} rounds of ${roundMs} ms each after ${warmUpMs} ms to warm up`,
    "ratios are to the first of a table, medians over rounds",
  ].join("\n");
}

/** What others did to a run, of which so many rounds were measured again. */
export function foreignLine(share: number, repeated: number): string {
  const text = `others used ${percent(share)} of the machine meanwhile`;
  return [
    share > QUIET_SHARE ? `${text}: ratios of CPU time hold, others may not` : text,
    ...(repeated === 0
      ? []
      : [`rounds of more than ${percent(QUIET_SHARE)}, which were measured again: ${repeated}`]),
  ].join("\n");
}

function percent(share: number): string {
  return `${(100 * share).toFixed(0)} %`;
}

function columnsOf({ per, figures, contenders }: LoadReport): Column[] {
  const [base] = contenders;
  const median = (figure: Figure, { samples }: ContenderReport): string =>
    spreadOf(samples, figure)?.median.toFixed(FIGURES[figure].digits) ?? "-";
  const ratio = (figure: Figure): Column => ({
    title: "ratio",
    cell: ({ samples }) => ratioOf(samples, base?.samples ?? [], figure)?.median.toFixed(2) ?? "-",
  });
  const columns: Column[] = [{ title: "", cell: ({ title }) => title }];
  for (const [i, figure] of figures.entries()) {
    const { title, digits } = FIGURES[figure];
    const whole = (name: string): Figure => figure.replace(/^[a-z]+/, name) as Figure;
    if (i > 0 && figure.startsWith("client")) {
      const parts = SIDES.map(whole);
      columns.push({
        title: `${title.replace(/^\S+/, "")} client/host/server`.trim(),
        cell: (contender) => parts.map((part) => median(part, contender)).join("/"),
      });
    }
    if (i > 0 && SIDES.some((side) => figure.startsWith(side))) continue;
    columns.push({
      title: title.replaceAll("call", per),
      cell: (contender) => median(figure, contender),
    });
    if (i === 0) {
      columns.push({
        title: "min..max",
        cell: ({ samples }) => {
          const spread = spreadOf(samples, figure);
          if (spread === undefined) return "-";
          return `${spread.min.toFixed(digits)}..${spread.max.toFixed(digits)}`;
        },
      });
    }
    if (i === 0 || figure === "cpuUs") columns.push(ratio(figure));
  }
  return columns;
}

/** The first so many columns are text. */
function align(rows: readonly (readonly string[])[], texts = 1): string[] {
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)));
  return rows.map((row) => {
    const cells = row.map((cell, i) =>
      i < texts ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0),
    );
    return `  ${cells.join("  ")}`.trimEnd();
  });
}
