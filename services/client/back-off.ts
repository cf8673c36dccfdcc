/** How long to wait before the next attempt (docs/protocol.md §11). */

const FIRST_MS = 100;
const MAX_MS = 30_000;
const FACTOR = 1.6;
const JITTER = 0.2;

/**
 * Milliseconds to wait after `failures` failures in a row (1 or more): 100 ms, growing to 30 s, each
 * up to a fifth longer or shorter, so that many clients do not come back at once.
 */
export function backOffMs(failures: number, random: () => number = Math.random): number {
  const base = Math.min(MAX_MS, FIRST_MS * FACTOR ** (failures - 1));
  return Math.min(MAX_MS, base * (1 - JITTER + 2 * JITTER * random()));
}
