/** What the server needs of a logger: facts first, then a sentence, as pino takes them. */
export interface Logger {
  debug(facts: object, sentence: string): void;
  info(facts: object, sentence: string): void;
  warn(facts: object, sentence: string): void;
}

/** JSON lines on stderr, of what an operator should see. */
export async function stderrLogger(): Promise<Logger> {
  const { pino } = await import("pino");
  const logger: Logger = pino(
    { name: "sealrpc-enclave" },
    pino.destination({ dest: 2, sync: true }),
  );
  return logger;
}

/** What may be said of an error that an application threw: its text may hold anything. */
export function factsOf(error: unknown): object {
  if (!(error instanceof Error)) return { error: typeof error };
  const { code } = error as { code?: unknown };
  const isPlain = typeof code === "string" || typeof code === "number";
  return { error: error.name, ...(isPlain ? { code } : {}) };
}
