/** Runs operations by themselves, each prepared once. */
import type { Timer } from "../micro/operation.ts";
import { OPERATIONS } from "../micro/operations.ts";
import { runChild } from "./child.ts";

interface Run {
  readonly load: string;
  readonly operation: string;
  readonly durationMs: number;
}

runChild(async () => {
  const prepared = new Map<string, Promise<Timer>>();
  return {
    ready: {},
    commands: {
      run: async ({ load, operation, durationMs }: Run): Promise<number> => {
        const found = OPERATIONS[load]?.find(({ name }) => name === operation);
        if (found === undefined) throw new Error(`${load} has no operation ${operation}`);
        const key = `${load} ${operation}`;
        const timer = prepared.get(key) ?? found.prepare();
        prepared.set(key, timer);
        return (await timer)(durationMs);
      },
    },
  };
});
