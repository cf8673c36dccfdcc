/** Runs operations by themselves, each prepared once. */
import type { Timer } from "../micro/operation.ts";
import { OPERATIONS } from "../micro/operations.ts";
import { runChild } from "./child.ts";

interface Run {
  readonly load: string;
  readonly operation: string;
  readonly durationMs: number;
}

/** Before an operation counts it runs this long: its code is compiled again and again meanwhile. */
const WARM_UP_MS = 3_000;
const MAX_WARM_UP_ROUNDS = 5;

runChild(async () => {
  const prepared = new Map<string, Promise<Timer>>();
  return {
    ready: {},
    commands: {
      run: async ({ load, operation, durationMs }: Run): Promise<number> => {
        const key = `${load} ${operation}`;
        let timer = prepared.get(key);
        if (timer === undefined) {
          const warmUpMs = Math.min(WARM_UP_MS, MAX_WARM_UP_ROUNDS * durationMs);
          timer = prepare(load, operation, warmUpMs);
          prepared.set(key, timer);
        }
        return (await timer)(durationMs);
      },
    },
  };
});

async function prepare(load: string, operation: string, warmUpMs: number): Promise<Timer> {
  const found = OPERATIONS[load]?.find(({ name }) => name === operation);
  if (found === undefined) throw new Error(`${load} has no operation ${operation}`);
  const timer = await found.prepare();
  await timer(warmUpMs);
  return timer;
}
