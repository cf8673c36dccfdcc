/** Clients that connect, become ready and go, so many at once. */
import { type Connection, connectOnce } from "../programs/connect-once.ts";
import type { ClientOptions } from "../programs/create-client.ts";
import { latencyFigures } from "./latency.ts";
import { pause } from "./pause.ts";
import type { Done, HandshakesWork } from "./work.ts";

const PATIENCE_MS = 30_000;
const BACK_OFF_MS = 1_000;

export async function runHandshakes(
  options: ClientOptions,
  { clients, durationMs }: HandshakesWork,
): Promise<Done> {
  const latencies: number[] = [];
  const startMs = performance.now();
  const endMs = startMs + durationMs;
  let retries = 0;
  const connect = async (): Promise<Connection> => {
    for (;;) {
      try {
        return await connectOnce(options);
      } catch (error) {
        // One process plays all clients, and cannot always answer for each of them in time.
        if (performance.now() > endMs + PATIENCE_MS) throw error;
        retries += 1;
        await pause(Math.random() * BACK_OFF_MS);
      }
    }
  };
  const one = async (): Promise<void> => {
    do {
      const beginMs = performance.now();
      const connection = await connect();
      latencies.push(performance.now() - beginMs);
      connection.close();
    } while (performance.now() < endMs);
  };
  await Promise.all(Array.from({ length: clients }, one));
  const seconds = (performance.now() - startMs) / 1000;
  return { seconds, calls: latencies.length, mib: 0, retries, ...latencyFigures(latencies) };
}
