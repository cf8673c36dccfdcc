/** What all calls of a channel share: how many are open, and what is kept of their requests. */

/** How long after its last call a channel still keeps the process running. */
const LINGER_MS = 10;

export interface LedgerEvents {
  /** The channel has open calls, or has none any more: whether the process must go on for it. */
  onHold(isHeld: boolean): void;
  /** A call has ended. */
  onEnded(): void;
}

export class CallLedger {
  /** Bytes of requests that are kept in case their calls must be sent again. */
  keptBytes = 0;
  readonly #events: LedgerEvents;
  #open = 0;
  #isHeld = false;
  #lingering: NodeJS.Timeout | undefined;

  constructor(events: LedgerEvents) {
    this.#events = events;
  }

  /** Whether the process must go on for this channel's sake. */
  get isHeld(): boolean {
    return this.#isHeld;
  }

  opened(): void {
    this.#open += 1;
    if (!this.#isHeld) this.#hold(true);
  }

  ended(): void {
    this.#open -= 1;
    // A moment later, and at most once a moment: calls often follow each other.
    if (this.#open === 0 && this.#lingering === undefined) {
      this.#lingering = setTimeout(() => this.#release(), LINGER_MS);
    }
    this.#events.onEnded();
  }

  #release(): void {
    this.#lingering = undefined;
    if (this.#open === 0) this.#hold(false);
  }

  #hold(isHeld: boolean): void {
    this.#isHeld = isHeld;
    this.#events.onHold(isHeld);
  }
}
