/** How much of the machine others used meanwhile: what the processes of a run do not account for. */
import { cpus } from "node:os";
import { ownMicroseconds } from "./program.ts";
import { busyMicroseconds } from "./usage.ts";

/** Above that share, rates and latencies say more of others. */
export const QUIET_SHARE = 0.1;

export class ForeignLoad {
  readonly #startMs: number = performance.now();
  readonly #foreignAtStart: number = foreignMicroseconds();

  /** The share of all cores, since this was made; NaN where the system does not tell. */
  get share(): number {
    const elapsedMs = performance.now() - this.#startMs;
    const foreign = foreignMicroseconds() - this.#foreignAtStart;
    return Math.max(0, foreign / 1000 / cpus().length / elapsedMs);
  }
}

function foreignMicroseconds(): number {
  return busyMicroseconds() - ownMicroseconds();
}
