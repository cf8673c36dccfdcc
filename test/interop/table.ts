/** The tables of docs/interop.md, one a server: written from results, and read back. */
import {
  CASES,
  type CaseName,
  CLIENTS,
  type ClientName,
  noteOf,
  NOTES,
  type ServerName,
  SERVERS,
} from "./cases.ts";

const BEGIN = "<!-- written by npm run test:interop -- --write-table -->";
const END = "<!-- end of what is written -->";

const TITLES: Readonly<Record<ServerName, string>> = {
  EnclaveServer: "`TestService` on `EnclaveServer`",
  "Go server": "The official Go server behind `sealrpc enclave --upstream`",
  "Java server": "The official Java server behind `sealrpc enclave --upstream`",
};

/** What came of the cells that were run. */
export class Results {
  readonly #cells = new Map<string, string>();

  /** Results with a reason that is noted carry the number of the note. */
  set(
    client: ClientName,
    server: ServerName,
    name: CaseName,
    result: "pass" | "n/a" | "fails" | "FAILS",
  ): void {
    const number = noteOf(client, server, name)?.number;
    const text = result === "n/a" || result === "fails" ? `${result} (${number})` : result;
    this.#cells.set(keyOf(client, server, name), text);
  }

  /**
   * The document with this run's results in place of its own; cells that were not run stay.
   *
   * @throws Error when the document has no place for tables.
   */
  writtenInto(document: string): string {
    const [start, end] = [document.indexOf(BEGIN), document.indexOf(END)];
    if (start < 0 || end < start) throw new Error("the document has no place for the tables");
    const old = cellsOf(document.slice(start, end));
    const cell = (client: ClientName, server: ServerName, name: CaseName): string => {
      const key = keyOf(client, server, name);
      return this.#cells.get(key) ?? old.get(key) ?? "not run";
    };
    const tables = SERVERS.map((server) => {
      const rows = CASES.map((name) => [
        `\`${name}\``,
        ...CLIENTS.map((client) => cell(client, server, name)),
      ]);
      return `## ${TITLES[server]}\n\n${aligned([["case", ...CLIENTS], ...rows])}\n`;
    });
    const notes = NOTES.map(({ text }, index) => `${index + 1}. ${text}\n`).join("");
    const written = `${BEGIN}\n\n${tables.join("\n")}\n## Notes\n\n${notes}\n`;
    return document.slice(0, start) + written + document.slice(end);
  }
}

/** Reads what `writtenInto` wrote. */
function cellsOf(text: string): Map<string, string> {
  const cells = new Map<string, string>();
  const sections = text.split(/^## /m);
  for (const server of SERVERS) {
    const section = sections.find((part) => part.startsWith(TITLES[server])) ?? "";
    for (const line of section.split("\n")) {
      const [, name = "", ...columns] = line.split("|").map((column) => column.trim());
      const known = CASES.find((candidate) => name === `\`${candidate}\``);
      if (known === undefined) continue;
      for (const [index, client] of CLIENTS.entries()) {
        cells.set(keyOf(client, server, known), columns[index] ?? "");
      }
    }
  }
  return cells;
}

function keyOf(client: ClientName, server: ServerName, name: CaseName): string {
  return `${client}|${server}|${name}`;
}

/** A table as the formatter of this repository would have it. */
function aligned(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0)),
  );
  const line = (cells: readonly string[]): string =>
    `| ${widths.map((width, column) => (cells[column] ?? "").padEnd(width)).join(" | ")} |`;
  const [header = [], ...body] = rows;
  return [line(header), line(widths.map((width) => "-".repeat(width))), ...body.map(line)].join(
    "\n",
  );
}
