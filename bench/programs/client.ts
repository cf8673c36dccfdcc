/** The client of a contender: runs the work that it is sent, any number of pieces at a time. */
import { type Client } from "@grpc/grpc-js";
import { runStream } from "../work/stream.ts";
import { runUnary } from "../work/unary.ts";
import type { Done, Work } from "../work/work.ts";
import { runChild } from "./child.ts";
import { type ClientOptions, createClient } from "./create-client.ts";

async function run(client: Client, work: Work, signal: AbortSignal): Promise<Done> {
  return work.kind === "unary" ? runUnary(client, work, signal) : runStream(client, work, signal);
}

runChild(async (options: ClientOptions) => {
  const client = createClient(options);
  await new Promise<void>((resolve, reject) => {
    client.waitForReady(Date.now() + 10_000, (error) =>
      error === undefined ? resolve() : reject(error),
    );
  });
  const stops = new Map<string, AbortController>();
  return {
    ready: {},
    commands: {
      run: async ({ work, key }: { work: Work; key: string }): Promise<Done> => {
        const stop = new AbortController();
        stops.set(key, stop);
        return run(client, work, stop.signal);
      },
      stop: (key: string): void => stops.get(key)?.abort(),
    },
  };
});
