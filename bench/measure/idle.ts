/** What idle sessions cost: memory of each process for each session, and calls beside them. */
import type { Sample } from "../figures.ts";
import type { IdleLoad } from "../load.ts";
import type { PerSide, RunningContender } from "../running-contender.ts";
import { runWork } from "./round.ts";

const PATIENCE_MS = 60_000;
/** For a handshake on a machine that does others beside it. */
const PATIENCE_PER_SESSION_MS = 200;
/** The first sessions also load what all sessions share. */
const FIRST_SESSIONS = 8;
const KIB_PER_MIB = 1024;

/** Memory before there were idle sessions; loads with more of them go on from those of fewer. */
const baselines = new WeakMap<RunningContender, PerSide>();

/** @throws Error when a process fails, ends or hangs. */
export async function measureIdle(
  contender: RunningContender,
  { sessions }: IdleLoad,
  durationMs: number,
): Promise<Sample> {
  const idle = await contender.client(0);
  const busy = await contender.client(1);
  const calls = { kind: "unary", bytes: 100, outstanding: 64, durationMs } as const;
  const timeoutMs = sessions * PATIENCE_PER_SESSION_MS + durationMs + PATIENCE_MS;
  let baseline = baselines.get(contender);
  if (baseline === undefined) {
    await idle.call("idle", FIRST_SESSIONS, timeoutMs);
    await runWork(busy, calls, "work", timeoutMs);
    baseline = await contender.residentMib();
    baselines.set(contender, baseline);
  }
  contender.resetPeak();
  await idle.call("idle", FIRST_SESSIONS + sessions, timeoutMs);
  const resident = await contender.residentMib();
  const kib = (side: keyof PerSide): number =>
    ((resident[side] - baseline[side]) * KIB_PER_MIB) / sessions;
  const before = contender.cpuMicroseconds;
  const done = await runWork(busy, calls, "work", timeoutMs);
  const after = contender.cpuMicroseconds;
  const cpu = (side: keyof PerSide): number => (after[side] - before[side]) / done.calls;
  return {
    clientKib: kib("client"),
    hostKib: kib("host"),
    serverKib: kib("server"),
    callsPerSecond: done.calls / done.seconds,
    cpuUs: cpu("client") + cpu("host") + cpu("server"),
    clientCpuUs: cpu("client"),
    hostCpuUs: cpu("host"),
    serverCpuUs: cpu("server"),
    hostPeakMib: contender.peakMib.host,
    serverPeakMib: contender.peakMib.server,
  };
}
