/** The memory that an endpoint spends on what it keeps for all its calls (docs/protocol.md §8, Memory). */

/** One budget for all sessions of an endpoint. */
export class Budget {
  readonly #maxBytes: number;
  readonly #accounts = new Set<Account>();
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

  join(account: Account): void {
    this.#accounts.add(account);
  }

  leave(account: Account): void {
    this.#accounts.delete(account);
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
      let most: Account | undefined;
      for (const account of this.#accounts) {
        if (most === undefined || account.heldBytes > most.heldBytes) most = account;
      }
      if (most === undefined || !most.shed()) return;
    }
  }
}

/** What one session keeps, on the budget of its endpoint if that has one. */
export class Account {
  /** Ends the call that keeps most; false when no call keeps anything. */
  readonly shed: () => boolean;
  readonly #budget: Budget | undefined;
  #heldBytes = 0;
  #isClosed = false;

  constructor(budget: Budget | undefined, shed: () => boolean) {
    this.#budget = budget;
    this.shed = shed;
    budget?.join(this);
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  get isTight(): boolean {
    return this.#budget?.isTight ?? false;
  }

  /** What is kept changed by this much. */
  charge(bytes: number): void {
    this.#heldBytes += bytes;
    this.#budget?.charge(bytes);
    if (this.#isClosed) this.close();
  }

  relieve(): void {
    this.#budget?.relieve();
  }

  /** The session is over. What it received before, and is not read yet, still counts. */
  close(): void {
    this.#isClosed = true;
    if (this.#heldBytes === 0) this.#budget?.leave(this);
  }
}
