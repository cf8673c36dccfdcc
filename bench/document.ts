/** Puts a run's tables into a Markdown document, in the place of those of an earlier run. */

const BLOCK = /^```text report\n.*?^```$/ms;

/** @throws RangeError when the document has no place for them: a block "```text report". */
export function withTables(markdown: string, tables: string): string {
  if (!BLOCK.test(markdown)) {
    throw new RangeError('it has no block that begins with "```text report"');
  }
  return markdown.replace(BLOCK, () => `\`\`\`text report\n${tables}\n\`\`\``);
}
