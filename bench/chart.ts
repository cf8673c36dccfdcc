/**
 * The report as a picture: ratios to plaintext grpc-js, on a logarithmic scale, so that half and
 * twice look equally far. It brings its colours for light and dark and nothing from elsewhere.
 */
import { type Figure, ratioOf } from "./figures.ts";
import type { LoadReport, Report } from "./report.ts";

const BASE = "plaintext";

const SERIES = [
  { contender: "tls", label: "grpc-js over TLS, through an L4 forwarder", style: "tls" },
  { contender: "sealrpc", label: "sealrpc, through its proxy", style: "sealrpc" },
] as const;

const ROWS = [
  { load: "unary-100b-x1", label: "100 B calls, one at a time" },
  { load: "unary-100b-x64", label: "100 B calls, 64 at a time" },
  { load: "unary-64kib-x16", label: "64 KiB calls, 16 at a time" },
  { load: "stream-down", label: "1 MiB messages down" },
  { load: "stream-up", label: "1 MiB messages up" },
  { load: "stream-both", label: "1 MiB messages both ways" },
] as const;

const WIDTH = 760;
const LABEL_WIDTH = 176;
const PANEL_WIDTH = 262;
const PANEL_GAP = 28;
const TOP = 96;
const ROW_HEIGHT = 42;
const BAR_HEIGHT = 13;
/** The scale's ends: powers of two. What is beyond ends there, and its label says where it is. */
const OCTAVES = 4;
const TICKS = [-3, -2, -1, 0, 1, 2, 3];
/** Room for the number behind the longest bar. */
const MARGIN = 30;

const STYLE = `
  text { font: 12px system-ui, "DejaVu Sans", sans-serif; fill: #59636e; }
  .title { font-weight: 600; font-size: 13px; }
  .small { font-size: 10.5px; }
  .grid { stroke: #8c959f; stroke-opacity: 0.25; }
  .one { stroke: #8c959f; stroke-width: 1.5; }
  .tls { fill: #9aa4ae; }
  .sealrpc { fill: #2f81f7; }
  @media (prefers-color-scheme: dark) {
    text { fill: #c9d1d9; }
    .tls { fill: #6e7781; }
    .sealrpc { fill: #58a6ff; }
  }
`;

interface Panel {
  readonly x: number;
  readonly title: string;
  readonly figure: (load: LoadReport) => Figure;
}

const PANELS: readonly Panel[] = [
  {
    x: LABEL_WIDTH,
    title: "throughput (more is better)",
    figure: ({ per }) => (per === "MiB" ? "mibPerSecond" : "callsPerSecond"),
  },
  {
    x: LABEL_WIDTH + PANEL_WIDTH + PANEL_GAP,
    title: "CPU time of all processes (less is better)",
    figure: () => "cpuUs",
  },
];

/**
 * An SVG document.
 *
 * @throws RangeError when none of the loads that it shows was run.
 */
export function chart(report: Report): string {
  const rows = ROWS.flatMap(({ load: name, label }) => {
    const load = report.loads.find((found) => found.name === name);
    return load === undefined ? [] : [{ load, label }];
  });
  if (rows.length === 0) throw new RangeError("no load that the chart shows was run");
  const bottom = TOP + rows.length * ROW_HEIGHT;
  const height = bottom + 44;
  const parts = [
    text(
      0,
      16,
      "Relative to plaintext grpc-js, client to server with nothing between (= 1)",
      "title",
    ),
    ...SERIES.flatMap(({ label, style }, i) => legend(i * 330, 30, label, style)),
    ...PANELS.flatMap((panel) => [
      text(panel.x + PANEL_WIDTH / 2, 64, panel.title, "title", "middle"),
      ...TICKS.flatMap((octave) => tick(panel.x + at(2 ** octave), bottom, octave)),
    ]),
    ...rows.flatMap(({ load, label }, row) => {
      const y = TOP + row * ROW_HEIGHT;
      return [
        text(LABEL_WIDTH - 10, y + ROW_HEIGHT / 2, label, undefined, "end"),
        ...PANELS.flatMap((panel) => bars(panel, load, y)),
      ];
    }),
    text(0, height - 22, conditions(report), "small"),
    text(0, height - 7, machine(report), "small"),
  ];
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img">
<title>sealrpc and grpc-js over TLS, relative to plaintext grpc-js</title>
<style>${STYLE}</style>
${parts.join("\n")}
</svg>
`;
}

function bars(panel: Panel, load: LoadReport, y: number): string[] {
  const samples = (name: string) =>
    load.contenders.find((contender) => contender.name === name)?.samples ?? [];
  return SERIES.flatMap(({ contender, style }, i) => {
    const ratio = ratioOf(samples(contender), samples(BASE), panel.figure(load))?.median;
    if (ratio === undefined) return [];
    const [one, end] = [at(1), at(ratio)];
    const top = y + ROW_HEIGHT / 2 - BAR_HEIGHT - 1 + i * (BAR_HEIGHT + 2);
    const isMore = ratio >= 1;
    const label = ratio >= 10 ? ratio.toFixed(0) : ratio.toPrecision(2);
    return [
      rect(panel.x + Math.min(one, end), top, Math.abs(end - one), style),
      text(
        panel.x + end + (isMore ? 4 : -4),
        top + BAR_HEIGHT / 2,
        label,
        "small",
        isMore ? "start" : "end",
      ),
    ];
  });
}

/** Where a ratio stands in a panel. */
function at(ratio: number): number {
  const octave = Math.max(-OCTAVES, Math.min(OCTAVES, Math.log2(ratio)));
  return MARGIN + ((octave + OCTAVES) / (2 * OCTAVES)) * (PANEL_WIDTH - 2 * MARGIN);
}

function tick(x: number, bottom: number, octave: number): string[] {
  const label = octave < 0 ? `1/${2 ** -octave}` : `${2 ** octave}`;
  const style = octave === 0 ? "one" : "grid";
  return [
    `<line class="${style}" x1="${fixed(x)}" x2="${fixed(x)}" y1="${TOP - 8}" y2="${bottom}"/>`,
    text(x, TOP - 16, label, "small", "middle"),
  ];
}

function legend(x: number, y: number, label: string, style: string): string[] {
  return [
    `<rect class="${style}" x="${x}" y="${y}" width="${BAR_HEIGHT}" height="${BAR_HEIGHT}"/>`,
    text(x + BAR_HEIGHT + 6, y + BAR_HEIGHT / 2, label),
  ];
}

function rect(x: number, y: number, width: number, style: string): string {
  return `<rect class="${style}" x="${fixed(x)}" y="${fixed(y)}" width="${fixed(Math.max(1, width))}" height="${BAR_HEIGHT}"/>`;
}

function text(x: number, y: number, content: string, style?: string, anchor = "start"): string {
  const attributes = style === undefined ? "" : ` class="${style}"`;
  return `<text${attributes} x="${fixed(x)}" y="${fixed(y)}" text-anchor="${anchor}" dy="0.35em">${escape(content)}</text>`;
}

function conditions({ rounds, startedAt, machine: { node, grpcJs } }: Report): string {
  return (
    `${startedAt.slice(0, 10)}: medians of ${rounds} interleaved rounds, each process on its own; ` +
    `Node ${node}, grpc-js ${grpcJs}. The scale is logarithmic.`
  );
}

function machine({ machine: { cpu, cores }, foreignLoad }: Report): string {
  const others =
    foreignLoad === null ? "" : `, of which others used ${(100 * foreignLoad).toFixed(0)} %`;
  return `One machine: ${cores} cores of ${cpu}${others}`;
}

function fixed(value: number): string {
  return String(Math.round(value * 10) / 10);
}

function escape(content: string): string {
  return content.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}
