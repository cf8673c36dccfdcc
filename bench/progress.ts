/** What a run is doing: one line that is overwritten on a terminal, one line a load elsewhere. */
export class Progress {
  readonly #isTerminal: boolean = process.stderr.isTTY ?? false;

  load(number: number, count: number, title: string): void {
    if (!this.#isTerminal) process.stderr.write(`[${number}/${count}] ${title}\n`);
  }

  step(number: number, count: number, text: string): void {
    if (this.#isTerminal) process.stderr.write(`\r\u001b[K[${number}/${count}] ${text}`);
  }

  clear(): void {
    if (this.#isTerminal) process.stderr.write("\r\u001b[K");
  }
}
