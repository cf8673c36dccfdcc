/**
 * Bounds what waits in the proxy over all streams. A client may fill its stream's window, megabytes
 * wide, while the enclave is slow, so the sum needs a limit of its own. Only streams that stand
 * still hold more than a moment's bytes; while there are any, they are added up regularly.
 */

/** Something that holds bytes for a slower side. */
export interface Holder {
  /** Bytes that wait now. */
  readonly heldBytes: number;
  /** Drops them, with the stream. */
  evict(): void;
}

/** How often the bytes of waiting streams are added up, in milliseconds. */
const SAMPLE_MS = 50;

/** The waiting streams of one proxy. */
export class BufferBudget {
  readonly #maxBytes: number;
  readonly #waiting = new Set<Holder>();
  #timer: NodeJS.Timeout | undefined;
  #peakBytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** The largest sum that was ever seen. */
  get peakBytes(): number {
    return this.#peakBytes;
  }

  /** A stream begins to wait for one of its sides. */
  add(holder: Holder): void {
    this.#waiting.add(holder);
    this.#timer ??= setInterval(() => this.#sample(), SAMPLE_MS).unref();
  }

  /** The stream flows again, or is over. */
  delete(holder: Holder): void {
    if (this.#waiting.delete(holder) && this.#waiting.size === 0) {
      clearInterval(this.#timer);
      this.#timer = undefined;
    }
  }

  #sample(): void {
    const held = [...this.#waiting].map((holder) => ({ holder, bytes: holder.heldBytes }));
    let sum = held.reduce((total, { bytes }) => total + bytes, 0);
    this.#peakBytes = Math.max(this.#peakBytes, sum);
    if (sum <= this.#maxBytes) {
      return;
    }
    held.sort((one, other) => other.bytes - one.bytes);
    for (const { holder, bytes } of held) {
      if (sum <= this.#maxBytes) {
        return;
      }
      sum -= bytes;
      this.delete(holder);
      holder.evict();
    }
  }
}
