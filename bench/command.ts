/** The command line of the benchmark. */
import { Command, InvalidArgumentError } from "commander";
import { CONTENDERS } from "./contenders.ts";
import { LOADS } from "./loads.ts";

export interface BenchCommand {
  readonly mode: "full" | "short" | "tiny";
  readonly rounds: number;
  readonly roundMs: number;
  readonly warmUpMs: number;
  /** All of the mode unless given. */
  readonly loadNames: ReadonlySet<string> | undefined;
  readonly contenderNames: ReadonlySet<string> | undefined;
  readonly jsonFile: string | undefined;
  readonly svgFile: string | undefined;
  readonly documentFile: string | undefined;
}

interface Selection {
  readonly loads: readonly string[];
  readonly contenders: readonly string[];
}

interface Flags {
  readonly short?: true;
  readonly tiny?: true;
  readonly only?: Selection;
  readonly json?: string;
  readonly svg?: string;
  readonly document?: string;
}

const MODES = {
  full: { rounds: 9, roundMs: 600, warmUpMs: 3000 },
  short: { rounds: 5, roundMs: 300, warmUpMs: 2000 },
  tiny: { rounds: 1, roundMs: 50, warmUpMs: 50 },
} as const;

/** Ends the process for `--help` and for what cannot be meant. */
export function parseCommand(argv: readonly string[]): BenchCommand {
  const flags = new Command("npm run bench --")
    .description("Measures sealrpc and what a team could choose instead, side by side.")
    .option("--short", "fewer loads, fewer and shorter rounds: seven minutes, not half an hour")
    .option("--tiny", "a glimpse of the loads of --short: whether it runs, not how fast")
    .option("--only <name...>", "loads and contenders, by name or by how the name begins", select)
    .option("--json <file>", "write every sample")
    .option("--svg <file>", "draw the main loads")
    .option(
      "--document <file>",
      'put the tables into a Markdown file, in its block "```text report"',
    )
    .addHelpText(
      "after",
      () => `\n${listing("Loads", LOADS)}\n${listing("Contenders", CONTENDERS)}`,
    )
    .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : 2))
    .allowExcessArguments(false)
    .parse([...argv])
    .opts<Flags>();
  const mode = flags.tiny ? "tiny" : flags.short ? "short" : "full";
  const { loads = [], contenders = [] } = flags.only ?? {};
  return {
    mode,
    ...MODES[mode],
    loadNames: loads.length === 0 ? undefined : new Set(loads),
    contenderNames: contenders.length === 0 ? undefined : new Set(contenders),
    jsonFile: flags.json,
    svgFile: flags.svg,
    documentFile: flags.document,
  };
}

function select(text: string, selected: Selection = { loads: [], contenders: [] }): Selection {
  const [loads, contenders] = [matching(LOADS, text), matching(CONTENDERS, text)];
  if (loads.length + contenders.length === 0) {
    throw new InvalidArgumentError("No load or contender is called so; --help lists them.");
  }
  return {
    loads: [...selected.loads, ...loads],
    contenders: [...selected.contenders, ...contenders],
  };
}

/** The one of this name, or all that begin so. */
function matching(all: readonly { readonly name: string }[], text: string): string[] {
  const names = all.map(({ name }) => name);
  return names.includes(text) ? [text] : names.filter((name) => name.startsWith(text));
}

function listing(
  head: string,
  all: readonly { name: string; title: string; absence?: string | undefined }[],
): string {
  const lines = all.map(({ name, title, absence }) => {
    const note = absence === undefined ? "" : ` (not here: ${absence})`;
    return `  ${name.padEnd(28)}${title}${note}`;
  });
  return `${head}:\n${lines.join("\n")}\n`;
}
