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
  const text = JSON.stringify(value, null, 2).replaceAll(/[\u007f-\uffff]/g, (unit) =>
    escaped(unit.charCodeAt(0)),
  );
  return `${text}\n`;
}

/** A value as indented JSON in which only what could steer a terminal is escaped. */
export function formatDocument(value: unknown): string {
  const text = JSON.stringify(value, null, 2).replaceAll(
    /[^\P{C}\n]|[\p{Zl}\p{Zp}]/gu,
    (character) =>
      Array.from({ length: character.length }, (_, i) => escaped(character.charCodeAt(i))).join(""),
  );
  return `${text}\n`;
}

/** Invariant: text of strangers cannot steer a terminal; what is not a plain character is escaped. */
export function printable(text: string): string {
  return text.replaceAll(
    /[\p{C}\p{Zl}\p{Zp}]/gu,
    (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`,
  );
}

/** A UTF-16 unit as JSON escapes it. */
function escaped(unit: number): string {
  return `\\u${unit.toString(16).padStart(4, "0")}`;
}
