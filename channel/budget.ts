/** The memory that an endpoint spends on what it keeps for all its calls (docs/protocol.md §8, Memory). */

/** A session, as the budget sees it. */
export interface BudgetHolder {
  /** Bytes that it keeps. */
  readonly heldBytes: number;
  /** Ends the call that keeps most; false when no call keeps anything. */
  shed(): boolean;
}

/** One budget for all sessions of an endpoint. */
export class Budget {
  readonly #maxBytes: number;
  readonly #holders = new Set<BudgetHolder>();
  #heldBytes = 0;
  #reliefIsDue = false;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Bytes that all sessions keep. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** At three quarters, new calls are refused. */
  get isTight(): boolean {
    return 4 * this.#heldBytes >= 3 * this.#maxBytes;
  }

  join(holder: BudgetHolder): void {
    this.#holders.add(holder);
  }

  leave(holder: BudgetHolder): void {
    this.#holders.delete(holder);
  }

  /** What goes beyond the budget is relieved when the step that kept it is over. */
  charge(bytes: number): void {
    this.#heldBytes += bytes;
    if (this.#heldBytes <= this.#maxBytes || this.#reliefIsDue) return;
    this.#reliefIsDue = true;
    void Promise.resolve().then(() => {
      this.#reliefIsDue = false;
      this.relieve();
    });
  }

  /** While too much is kept, ends the call that keeps most in the session that keeps most. */
  relieve(): void {
    while (this.#heldBytes > this.#maxBytes) {
      let most: BudgetHolder | undefined;
      for (const holder of this.#holders) {
        if (most === undefined || holder.heldBytes > most.heldBytes) most = holder;
      }
      if (most === undefined || !most.shed()) return;
    }
  }
}
