/**
 * What every process of the benchmark is: it starts with options, says when it is ready, then does
 * what its parent asks. It ends when its parent does, however that came about.
 */

/** One request of the parent, and its answer. */
export interface Request {
  readonly id: number;
  readonly command: string;
  readonly argument: unknown;
}
export type Answer =
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly error: string };

type Commands = Readonly<Record<string, (argument: never) => unknown>>;

/** What a program is once it runs: what whoever comes after it must know, and what it can do. */
export interface Started {
  readonly ready: object;
  readonly commands?: Commands;
}

/** The id of the answer that says that a program is ready. */
export const READY_ID = 0;

/** The whole life of a program. */
export function runChild(start: (options: never) => Promise<Started>): void {
  process.on("disconnect", () => process.exit(0));
  // The parent hears of Ctrl-C as well, and ends the run in order.
  process.on("SIGINT", () => {});
  const started = start(JSON.parse(process.argv[2] ?? "{}") as never);
  const answer = (id: number, work: Promise<unknown>): void => {
    work.then(
      (result) => process.send?.({ id, result } satisfies Answer),
      (error: unknown) => process.send?.({ id, error: String(error) } satisfies Answer),
    );
  };
  answer(
    READY_ID,
    started.then(({ ready }) => ready),
  );
  process.on("message", ({ id, command, argument }: Request) => {
    const work = started.then(({ commands }) => {
      const all: Commands = { memory, ...commands };
      const run = all[command];
      if (run === undefined) throw new Error(`no command ${command}`);
      return run(argument as never);
    });
    answer(id, work);
  });
}

/** What the process holds once everything unreachable is gone. */
async function memory(): Promise<{ rssBytes: number }> {
  for (let i = 0; i < 4; i++) {
    globalThis.gc?.();
    await new Promise((resolve) => {
      setTimeout(resolve, 50);
    });
  }
  return { rssBytes: process.memoryUsage.rss() };
}
