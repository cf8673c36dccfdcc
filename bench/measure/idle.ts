/** What idle sessions cost: memory of each process for each session, and calls beside them. */
import { type Sample, spread } from "../figures.ts";
import type { IdleLoad } from "../load.ts";
import type { PerSide, RunningContender } from "../running-contender.ts";
import { maxDescriptors } from "../usage.ts";
import { NotHere } from "./not-here.ts";
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
 * The first quarter of the sessions also brings what all share, and the memory that their handshakes
 * leave free; what each other quarter adds is theirs. The median of the three, because a process
 * also grows or shrinks by itself, by more than a quarter adds.
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
  const resident: PerSide[] = [];
  for (const share of [0.25, 0.5, 0.75, 1]) {
    await idle.call("idle", Math.floor(share * sessions), timeoutMs);
    if (resident.length === 0) await runWork(busy, calls, "work", timeoutMs);
    resident.push(await contender.residentMib());
  }
  const kib = (side: keyof PerSide): number => {
    const mib = resident.map((sizes) => sizes[side]);
    const added = mib.slice(1).map((size, i) => size - (mib[i] ?? 0));
    return ((spread(added)?.median ?? NaN) * KIB_PER_MIB) / (sessions / 4);
  };
  contender.resetPeak();
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
