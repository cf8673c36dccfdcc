/** How commands print facts: names and values in two columns for a reader, JSON for a program. */

/** One line: a name and its value. Without a name it continues the line above. */
export type Row = readonly [name: string, value: string];

/** The rows as text, each line ended, columns aligned. */
export function formatTable(rows: readonly Row[]): string {
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows
    .map(([name, value]) => `${`${name.padEnd(width)}  ${printable(value)}`.trimEnd()}\n`)
    .join("");
}

/** A value as indented JSON, in ASCII. */
export function formatJson(value: unknown): string {
  return `${JSON.stringify(value, null, 2).replaceAll(
    /[\u007f-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  )}\n`;
}

/** Invariant: text of strangers cannot steer a terminal; what is not a plain character is escaped. */
function printable(text: string): string {
  return text.replaceAll(
    /[\p{C}\p{Zl}\p{Zp}]/gu,
    (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`,
  );
}
