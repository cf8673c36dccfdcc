/** The report for people. */
import { type Figure, FIGURES, ratioOf, spreadOf } from "./figures.ts";
import type { Machine } from "./machine.ts";
import type { ContenderReport, GoalReport, LoadReport } from "./report.ts";

export function loadTable(load: LoadReport): string {
  const [primary, ...rest] = load.figures;
  const [base] = load.contenders;
  if (primary === undefined || base === undefined) return load.title;
  const head = ["", title(primary, load), "min..max", "ratio"];
  for (const figure of rest) {
    head.push(title(figure, load));
    if (figure === "cpuUs") head.push("ratio");
  }
  const rows = load.contenders.map((contender) => row(contender, base, primary, rest));
  const errors = load.contenders.flatMap(({ title: name, error }) =>
    error === undefined ? [] : [`  error: ${name}: ${error}`],
  );
  return [load.title, ...columns([head, ...rows]), ...errors].join("\n");
}

export function goalTable(goals: readonly GoalReport[]): string {
  const rows = goals.map(({ work, against, goal, ratio, met }) => [
    work,
    against,
    goal,
    ratio === undefined ? "-" : `${ratio.toFixed(2)}x`,
    met === undefined ? "not measured" : met ? "met" : "MISSED",
  ]);
  return ["goals", ...columns([["work", "against", "goal", "is", ""], ...rows], 2)].join("\n");
}

export function machineLine(machine: Machine): string {
  const { cpu, cores, memoryGib, system, node, openssl, grpcJs, sealrpc } = machine;
  return (
    `${cpu}, ${cores} cores, ${memoryGib} GiB, ${system}; ` +
    `Node ${node}, OpenSSL ${openssl}, grpc-js ${grpcJs}, sealrpc ${sealrpc}`
  );
}

function title(figure: Figure, { per }: LoadReport): string {
  return figure === "cpuUs" ? `CPU us/${per}` : FIGURES[figure].title;
}

function row(
  { title: name, samples }: ContenderReport,
  base: ContenderReport,
  primary: Figure,
  rest: readonly Figure[],
): string[] {
  const ratio = (figure: Figure): string =>
    ratioOf(samples, base.samples, figure)?.median.toFixed(2) ?? "-";
  const { digits } = FIGURES[primary];
  const spread = spreadOf(samples, primary);
  const cells = [
    name,
    spread?.median.toFixed(digits) ?? "-",
    spread === undefined ? "-" : `${spread.min.toFixed(digits)}..${spread.max.toFixed(digits)}`,
    ratio(primary),
  ];
  for (const figure of rest) {
    cells.push(spreadOf(samples, figure)?.median.toFixed(FIGURES[figure].digits) ?? "-");
    if (figure === "cpuUs") cells.push(ratio(figure));
  }
  return cells;
}

/** The first so many columns are text. */
function columns(rows: readonly (readonly string[])[], texts = 1): string[] {
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)));
  return rows.map((row) => {
    const cells = row.map((cell, i) =>
      i < texts ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0),
    );
    return `  ${cells.join("  ")}`.trimEnd();
  });
}
