/**
 * One direction of a long link without loss: every chunk leaves a fixed time after it came, as many
 * as there are. Only a receiver that takes nothing for long makes it stop reading.
 */
import type { Socket } from "node:net";

const MAX_HELD_BYTES = 64 * 1024 * 1024;
/** Timers of Node fire a little early. */
const SLACK_MS = 0.3;

export class DelayedPipe {
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #delayMs: number;
  /** The end is a chunk that is not there. */
  readonly #queue: { readonly dueMs: number; readonly chunk: Buffer | undefined }[] = [];
  #heldBytes = 0;
  #isScheduled = false;

  constructor(from: Socket, to: Socket, delayMs: number) {
    this.#from = from;
    this.#to = to;
    this.#delayMs = delayMs;
  }

  start(): void {
    this.#from.on("data", (chunk) => this.#put(chunk));
    this.#from.on("end", () => this.#put(undefined));
    this.#to.on("drain", () => this.#regulate());
  }

  #put(chunk: Buffer | undefined): void {
    this.#queue.push({ dueMs: performance.now() + this.#delayMs, chunk });
    this.#heldBytes += chunk?.length ?? 0;
    this.#regulate();
    if (!this.#isScheduled) this.#schedule(this.#delayMs);
  }

  #schedule(ms: number): void {
    this.#isScheduled = true;
    setTimeout(() => this.#release(), ms);
  }

  #release(): void {
    const nowMs = performance.now();
    const waiting = this.#queue.findIndex(({ dueMs }) => dueMs > nowMs + SLACK_MS);
    const due = this.#queue.splice(0, waiting === -1 ? this.#queue.length : waiting);
    this.#to.cork();
    for (const { chunk } of due) {
      this.#heldBytes -= chunk?.length ?? 0;
      if (this.#to.destroyed) continue;
      if (chunk === undefined) this.#to.end();
      else this.#to.write(chunk);
    }
    this.#to.uncork();
    const [next] = this.#queue;
    this.#isScheduled = false;
    if (next !== undefined) this.#schedule(Math.max(1, next.dueMs - nowMs));
    this.#regulate();
  }

  #regulate(): void {
    const held = this.#heldBytes + this.#to.writableLength;
    if (held > MAX_HELD_BYTES) this.#from.pause();
    else if (this.#from.isPaused() && held < MAX_HELD_BYTES / 2) this.#from.resume();
  }
}
