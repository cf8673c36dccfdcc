/** A logger that keeps what it is told. */
interface Line {
  readonly level: "debug" | "info" | "warn";
  readonly facts: Readonly<Record<string, unknown>>;
  readonly sentence: string;
}

export class RecordedLog {
  readonly lines: Line[] = [];
  #onLine: () => void = () => {};

  debug(facts: object, sentence: string): void {
    this.#keep("debug", facts, sentence);
  }

  info(facts: object, sentence: string): void {
    this.#keep("info", facts, sentence);
  }

  warn(facts: object, sentence: string): void {
    this.#keep("warn", facts, sentence);
  }

  /** Resolves at the next line. */
  async line(): Promise<void> {
    return new Promise((resolve) => {
      this.#onLine = resolve;
    });
  }

  #keep(level: Line["level"], facts: object, sentence: string): void {
    this.lines.push({ level, facts: { ...facts }, sentence });
    this.#onLine();
  }
}
