/** Bounds the bytes that a hop keeps for all its calls together: for readers that do not read. */

/** At this share of the most, whoever can wait does. */
const TIGHT_SHARE = 0.5;

export class ByteBudget {
  readonly #maxBytes: number;
  #heldBytes = 0;
  readonly #waiting = new Set<() => void>();

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** Whether nothing more should be asked for. */
  get isTight(): boolean {
    return this.#heldBytes > TIGHT_SHARE * this.#maxBytes;
  }

  /** Counts bytes, unless they are too many: then whoever brings them must do without. */
  hold(bytes: number): boolean {
    if (this.#heldBytes + bytes > this.#maxBytes) return false;
    this.#heldBytes += bytes;
    return true;
  }

  release(bytes: number): void {
    this.#heldBytes -= bytes;
    if (this.#waiting.size === 0 || this.isTight) return;
    for (const onRoom of this.#waiting) {
      this.#waiting.delete(onRoom);
      onRoom();
      if (this.isTight) return;
    }
  }

  /** Calls back once, when the budget is not tight any more. */
  wait(onRoom: () => void): void {
    this.#waiting.add(onRoom);
  }

  forget(onRoom: () => void): void {
    this.#waiting.delete(onRoom);
  }
}
