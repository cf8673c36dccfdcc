/** What a process has used and may use, as Linux tells it; elsewhere NaN. */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";

/** Of Linux on every platform that Node runs on. */
const MICROSECONDS_PER_TICK = 10_000;

/** CPU time of all threads: to the nanosecond where the kernel tells it so, else in steps of 10 ms. */
export function cpuMicroseconds(pid: number): number {
  const precise = threadsOf(pid).reduce((sum, thread) => {
    const [nanoseconds] = read(pid, `task/${thread}/schedstat`).split(" ");
    return (
      sum + (nanoseconds === undefined || nanoseconds === "" ? Number.NaN : Number(nanoseconds))
    );
  }, 0);
  return precise > 0 ? precise / 1000 : cpuTicks(pid, 11);
}

/** CPU time of the children that this process had and that have ended. */
export function endedChildrenMicroseconds(): number {
  return cpuTicks(process.pid, 13);
}

/** What all cores were busy with since the machine started, its own host's part included. */
export function busyMicroseconds(): number {
  const [line = ""] = read("", "stat").split("\n");
  const [user, nice, system, , , irq, softirq, steal] = line.split(/ +/).slice(1).map(Number);
  const parts = [user, nice, system, irq, softirq, steal];
  return parts.reduce<number>((sum, ticks) => sum + Number(ticks), 0) * MICROSECONDS_PER_TICK;
}

/** The most memory that was resident at once since `resetPeak`. */
export function peakMib(pid: number): number {
  const [, kib] = /^VmHWM:\s+(\d+) kB$/m.exec(read(pid, "status")) ?? [];
  return kib === undefined ? Number.NaN : Number(kib) / 1024;
}

export function resetPeak(pid: number): void {
  try {
    writeFileSync(`/proc/${pid}/clear_refs`, "5");
  } catch {
    // Then the peak is that of the process's whole life.
  }
}

/** File descriptors that this process, or one that it starts, may have. */
export function maxDescriptors(): number {
  const [, most] = /^Max open files +(\d+)/m.exec(read(process.pid, "limits")) ?? [];
  return Number(most);
}

/** Of the two fields from this one on, which are user's and system's. */
function cpuTicks(pid: number, field: number): number {
  const [, fields = ""] = read(pid, "stat").split(") ");
  const [user, system] = fields
    .split(" ")
    .slice(field, field + 2)
    .map(Number);
  return ((user ?? Number.NaN) + (system ?? Number.NaN)) * MICROSECONDS_PER_TICK;
}

function threadsOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
}

function read(pid: number | "", file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch {
    return "";
  }
}
