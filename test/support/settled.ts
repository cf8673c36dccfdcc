/** Waiting for something to stop, where no event says so. */
import { setTimeout as sleep } from "node:timers/promises";

/**
 * Resolves with the value once it has not changed for 300 ms. A slow machine may make it early, so
 * only what must hold at any moment (an upper bound) may be asserted of it.
 */
export async function settled(read: () => number): Promise<number> {
  let value = read();
  for (let unchanged = 0; unchanged < 6; unchanged++) {
    await sleep(50);
    if (read() !== value) unchanged = -1;
    value = read();
  }
  return value;
}
