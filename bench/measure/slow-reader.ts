/**
 * What a reader that does not read makes the others keep: its calls are open, messages come as fast
 * as they are taken, and its process stands still.
 */
import type { Sample } from "../figures.ts";
import type { SlowReaderLoad } from "../load.ts";
import type { PerSide, RunningContender } from "../running-contender.ts";
import { pause } from "../traffic/pause.ts";
import { runWork } from "./round.ts";

const MESSAGE_BYTES = 1024 * 1024;
const PATIENCE_MS = 60_000;
/** The calls are open by then. */
const LEAD_MS = 300;

/** @throws Error when a process fails, ends or hangs. */
export async function measureSlowReader(
  contender: RunningContender,
  { calls, stopped }: SlowReaderLoad,
  durationMs: number,
): Promise<Sample> {
  const reader = await contender.client(0);
  const first = { kind: "unary", bytes: 100, outstanding: 1, durationMs: LEAD_MS } as const;
  await runWork(reader, first, "first", PATIENCE_MS);
  const before = await contender.residentMib();
  contender.resetPeak();
  const work = {
    kind: "unread",
    calls,
    messageBytes: MESSAGE_BYTES,
    durationMs: PATIENCE_MS,
  } as const;
  const unread = runWork(reader, work, "unread", 2 * PATIENCE_MS);
  unread.catch(() => {});
  await pause(LEAD_MS);
  if (stopped) reader.suspend();
  await pause(durationMs);
  const peak = contender.peakMib;
  if (stopped) reader.resume();
  await reader.call("stop", "unread", PATIENCE_MS);
  await unread;
  const grown = (side: keyof PerSide): number => peak[side] - before[side];
  return {
    hostGrownMib: grown("host"),
    serverGrownMib: grown("server"),
    clientGrownMib: grown("client"),
  };
}
