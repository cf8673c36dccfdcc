/** Unary calls, as many outstanding as asked for: each that ends makes the next. */
import { latencyFigures } from "./latency.ts";
import type { UnaryCaller } from "./unary-caller.ts";
import type { Done, UnaryWork } from "./work.ts";

export async function runUnary(
  caller: UnaryCaller,
  { bytes, outstanding, durationMs }: UnaryWork,
  signal: AbortSignal,
): Promise<Done> {
  const request = Buffer.alloc(bytes, 1);
  const latencies: number[] = [];
  const startMs = performance.now();
  const endMs = startMs + durationMs;
  await new Promise<void>((resolve, reject) => {
    let open = outstanding;
    const call = (): void => {
      const sentMs = performance.now();
      caller(request, (error) => {
        if (error !== null) {
          reject(error);
          return;
        }
        const nowMs = performance.now();
        latencies.push(nowMs - sentMs);
        if (nowMs < endMs && !signal.aborted) call();
        else if (--open === 0) resolve();
      });
    };
    for (let i = 0; i < outstanding; i++) call();
  });
  const seconds = (performance.now() - startMs) / 1000;
  return {
    seconds,
    calls: latencies.length,
    mib: (latencies.length * 2 * bytes) / 1024 / 1024,
    ...latencyFigures(latencies),
  };
}
