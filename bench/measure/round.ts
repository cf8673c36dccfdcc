/** One round: calls or streams for a time, with what may run beside them. */
import type { Sample } from "../figures.ts";
import type { RoundsLoad } from "../load.ts";
import type { Program } from "../program.ts";
import type { RunningContender, Side } from "../running-contender.ts";
import { pause } from "../traffic/pause.ts";
import type { Done, Work } from "../traffic/work.ts";

/** What a round may take beyond its time. */
const PATIENCE_MS = 60_000;
/** A stream is under way before the calls beside it count. */
const LEAD_MS = 200;
/** What was on its way when a round ended is gone by then. */
const SETTLE_MS = 50;

/** @throws Error when a process fails, ends or hangs. */
export async function measureRound(
  contender: RunningContender,
  load: RoundsLoad,
  durationMs: number,
): Promise<Sample> {
  const client = await contender.client(0);
  const other = load.beside?.on === "other" ? await contender.client(1) : client;
  const timeoutMs = durationMs + LEAD_MS + PATIENCE_MS;
  contender.resetPeak();
  const beside =
    load.beside &&
    runWork(other, { ...load.beside.work, durationMs: timeoutMs }, "beside", 2 * timeoutMs);
  // It is awaited below, after what may fail before.
  beside?.catch(() => {});
  if (beside !== undefined) await pause(LEAD_MS);
  const before = contender.cpuMicroseconds;
  const done = await runWork(client, { ...load.work, durationMs }, "work", timeoutMs);
  const after = contender.cpuMicroseconds;
  let besideMibPerSecond: number | undefined;
  if (beside !== undefined) {
    await other.call("stop", "beside", timeoutMs);
    const { mib, seconds } = await beside;
    besideMibPerSecond = mib / seconds;
  }
  await pause(SETTLE_MS);
  const count = load.per === "MiB" ? done.mib : done.calls;
  const cpu = (side: Side): number => (after[side] - before[side]) / count;
  const { client: clientPeakMib, host: hostPeakMib, server: serverPeakMib } = contender.peakMib;
  return {
    callsPerSecond: done.calls / done.seconds,
    mibPerSecond: done.mib / done.seconds,
    ...(done.p50Ms === undefined ? {} : { p50Ms: done.p50Ms }),
    ...(done.p99Ms === undefined ? {} : { p99Ms: done.p99Ms }),
    ...(done.retries === undefined ? {} : { retries: done.retries }),
    ...(besideMibPerSecond === undefined ? {} : { besideMibPerSecond }),
    cpuUs: cpu("client") + cpu("host") + cpu("server"),
    clientCpuUs: cpu("client"),
    hostCpuUs: cpu("host"),
    serverCpuUs: cpu("server"),
    clientPeakMib,
    hostPeakMib,
    serverPeakMib,
  };
}

export async function runWork(
  client: Program,
  work: Work,
  key: string,
  timeoutMs: number,
): Promise<Done> {
  return client.call<Done>("run", { work, key }, timeoutMs);
}
