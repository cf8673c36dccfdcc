/** What idle sessions cost: memory of each process for each session, and calls beside them. */
import type { Sample } from "../figures.ts";
import type { IdleLoad } from "../load.ts";
import type { PerSide, RunningContender } from "../running-contender.ts";
import { maxDescriptors, NotHere } from "./not-here.ts";
import { runWork } from "./round.ts";

const PATIENCE_MS = 60_000;
/** For a handshake on a machine that does others beside it. */
const PATIENCE_PER_SESSION_MS = 200;
const KIB_PER_MIB = 1024;
/** Fewer do not stand out from what a process's memory does by itself. */
const LEAST_SESSIONS = 1000;
/** What a process has open besides connections. */
const OTHER_DESCRIPTORS = 100;

/**
 * The first half of the sessions also brings what all share, and the memory that their handshakes
 * leave free; what the second half adds is theirs.
 *
 * @throws NotHere when a process may not have as many connections.
 * @throws Error when a process fails, ends or hangs.
 */
export async function measureIdle(
  contender: RunningContender,
  { sessions }: IdleLoad,
  durationMs: number,
): Promise<Sample> {
  const needed = sessions * contender.descriptorsPerClient + OTHER_DESCRIPTORS;
  if (needed > maxDescriptors()) {
    throw new NotHere(
      `it takes ${needed} file descriptors, a process may have ${maxDescriptors()}`,
    );
  }
  const idle = await contender.client(0);
  const busy = await contender.client(1);
  const calls = { kind: "unary", bytes: 100, outstanding: 64, durationMs } as const;
  const timeoutMs = sessions * PATIENCE_PER_SESSION_MS + durationMs + PATIENCE_MS;
  const half = Math.floor(sessions / 2);
  await idle.call("idle", half, timeoutMs);
  await runWork(busy, calls, "work", timeoutMs);
  const atHalf = await contender.residentMib();
  contender.resetPeak();
  await idle.call("idle", sessions, timeoutMs);
  const resident = await contender.residentMib();
  const kib = (side: keyof PerSide): number =>
    ((resident[side] - atHalf[side]) * KIB_PER_MIB) / (sessions - half);
  const before = contender.cpuMicroseconds;
  const done = await runWork(busy, calls, "work", timeoutMs);
  const after = contender.cpuMicroseconds;
  const cpu = (side: keyof PerSide): number => (after[side] - before[side]) / done.calls;
  const perSession =
    sessions < LEAST_SESSIONS
      ? {}
      : { clientKib: kib("client"), hostKib: kib("host"), serverKib: kib("server") };
  return {
    ...perSession,
    callsPerSecond: done.calls / done.seconds,
    cpuUs: cpu("client") + cpu("host") + cpu("server"),
    clientCpuUs: cpu("client"),
    hostCpuUs: cpu("host"),
    serverCpuUs: cpu("server"),
    clientPeakMib: contender.peakMib.client,
    hostPeakMib: contender.peakMib.host,
    serverPeakMib: contender.peakMib.server,
  };
}
