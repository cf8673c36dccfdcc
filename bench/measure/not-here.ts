/** What this machine lets no contender of a kind do. */
import { readFileSync } from "node:fs";

export class NotHere extends Error {}

/** File descriptors that a process of this one may have; Infinity where the system does not tell. */
export function maxDescriptors(): number {
  try {
    const [, most] =
      /^Max open files +(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8")) ?? [];
    return most === undefined ? Infinity : Number(most);
  } catch {
    return Infinity;
  }
}
