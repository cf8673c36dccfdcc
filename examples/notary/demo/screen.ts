/** Two columns on a terminal, or in a pipe. */
import { styleText } from "node:util";

const MIN_WIDTH = 80;
const MAX_WIDTH = 120;
const GAP = " │ ";

const width = Math.min(MAX_WIDTH, Math.max(MIN_WIDTH, process.stdout.columns || 100));
const left = Math.floor((width - GAP.length) / 2);
const right = width - GAP.length - left;
const inColor = process.stdout.isTTY && !process.env["NO_COLOR"];

type Style = "bold" | "dim" | "green" | "red" | "yellow";

export function paint(style: Style, text: string): string {
  return inColor ? styleText(style, text) : text;
}

export function say(...lines: readonly string[]): void {
  for (const line of lines) console.log(line);
}

/** Prints two texts beside each other, the first line of each in bold. */
export function sayBeside(client: readonly string[], host: readonly string[]): void {
  for (let row = 0; row < Math.max(client.length, host.length); row++) {
    const style = row === 0 ? "bold" : undefined;
    say([cell(client[row], left, style), cell(host[row], right, style).trimEnd()].join(GAP));
  }
}

export function sayRule(): void {
  say(`${"─".repeat(left + 1)}┼${"─".repeat(right + 1)}`);
}

/** Lines of hexadecimal and ASCII that fit the right column. */
export function hexdump(bytes: Buffer, rows: number): string[] {
  const perRow = Math.floor((right - 3) / 8) * 2;
  const lines: string[] = [];
  for (let at = 0; at < bytes.length && lines.length < rows; at += perRow) {
    const part = bytes.subarray(at, at + perRow);
    const hex = part
      .toString("hex")
      .replaceAll(/..(?=.)/g, "$& ")
      .padEnd(3 * perRow - 1);
    lines.push(`${hex}  ${part.toString("latin1").replaceAll(/[^ -~]/g, ".")}`);
  }
  return lines;
}

function cell(text: string | undefined, columns: number, style: Style | undefined): string {
  const all = text ?? "";
  const shown = all.length > columns ? `${all.slice(0, columns - 1)}…` : all;
  const padding = " ".repeat(columns - shown.length);
  return (style && shown ? paint(style, shown) : shown) + padding;
}
