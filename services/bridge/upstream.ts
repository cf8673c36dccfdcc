/**
 * The connections to the application behind a bridge: one that is kept open, and more while the
 * application's own limit on streams makes them necessary. An application that is away is dialed
 * again with back-off, and meanwhile a call is told so at once.
 */
import type { Address } from "../../transport/address.ts";
import { UpstreamConnection } from "./upstream-connection.ts";

/** A call that waits: the application is dialed, or takes no more calls just now. */
export interface UpstreamCall {
  onConnection(connection: UpstreamConnection): void;
  /** The application is certainly away: nothing was sent to it. */
  onAway(): void;
}

export interface UpstreamEvents {
  /** The application is there, for the first time or again. */
  onReached(): void;
  /** It cannot be reached. Once, until it is there again. */
  onAway(reason: string): void;
}

const MAX_CONNECTIONS = 16;
const FIRST_WAIT_MS = 50;
const MAX_WAIT_MS = 2_000;
/** A connection that ends sooner counts as a failure when the next attempt is timed. */
const SHORT_LIFE_MS = 1_000;

export class Upstream {
  readonly #address: Address;
  readonly #events: UpstreamEvents;
  /** Those that take calls, and when they were opened. */
  readonly #connections = new Map<UpstreamConnection, number>();
  readonly #waiting = new Set<UpstreamCall>();
  readonly #abort = new AbortController();
  #isDialing = false;
  #retryTimer: NodeJS.Timeout | undefined;
  #waitMs = FIRST_WAIT_MS;
  #isAway: boolean | undefined;

  constructor(address: Address, events: UpstreamEvents) {
    this.#address = address;
    this.#events = events;
  }

  /** Begins to dial, and goes on until `close`. */
  start(): void {
    void this.#dial();
  }

  /** Gives the call a connection, now, or once there is one with room. */
  assign(call: UpstreamCall): void {
    const connection = this.#pick();
    if (connection !== undefined) call.onConnection(connection);
    else if (this.#isDialing || this.#connections.size > 0) this.#waiting.add(call);
    else call.onAway();
  }

  /** The call does not wait any more. */
  forget(call: UpstreamCall): void {
    this.#waiting.delete(call);
  }

  /** Dials no more; connections close with their last call. */
  close(): void {
    this.#abort.abort();
    clearTimeout(this.#retryTimer);
    for (const connection of this.#connections.keys()) connection.close();
    this.#connections.clear();
    for (const call of this.#takeWaiting()) call.onAway();
  }

  /** The one with the fewest calls that has room. When all are full, the next is on its way. */
  #pick(): UpstreamConnection | undefined {
    let best: UpstreamConnection | undefined;
    for (const connection of this.#connections.keys()) {
      if (!connection.hasRoom) continue;
      if (best === undefined || connection.streams < best.streams) best = connection;
    }
    const { size } = this.#connections;
    if (best === undefined && size > 0 && size < MAX_CONNECTIONS) void this.#dial();
    return best;
  }

  readonly #serve = (): void => {
    for (const call of this.#waiting) {
      const connection = this.#pick();
      if (connection === undefined) return;
      this.#waiting.delete(call);
      call.onConnection(connection);
    }
  };

  async #dial(): Promise<void> {
    const { signal } = this.#abort;
    if (this.#isDialing || signal.aborted) return;
    this.#isDialing = true;
    let reason = "";
    try {
      const connection = await UpstreamConnection.open(this.#address, signal, {
        onGone: this.#gone,
        onRoom: this.#serve,
      });
      if (signal.aborted) connection.close();
      else this.#connections.set(connection, performance.now());
    } catch (error) {
      reason = (error as Error).message;
    }
    this.#isDialing = false;
    if (signal.aborted || reason !== "") this.#failed(reason);
    else this.#reached();
  }

  #reached(): void {
    if (this.#isAway !== false) this.#events.onReached();
    this.#isAway = false;
    this.#serve();
  }

  #failed(reason: string): void {
    // Those that wait for room wait on.
    if (this.#connections.size > 0) return;
    for (const call of this.#takeWaiting()) call.onAway();
    if (this.#abort.signal.aborted) return;
    this.#dialLater();
    if (this.#isAway !== true) this.#events.onAway(reason);
    this.#isAway = true;
  }

  #dialLater(): void {
    this.#retryTimer = setTimeout(() => void this.#dial(), this.#waitMs);
    this.#waitMs = Math.min(MAX_WAIT_MS, 2 * this.#waitMs);
  }

  /** Closed in order or lost: the next call shall find another. */
  readonly #gone = (connection: UpstreamConnection): void => {
    const lifeMs = performance.now() - (this.#connections.get(connection) ?? 0);
    this.#connections.delete(connection);
    if (this.#connections.size > 0 || this.#abort.signal.aborted) return;
    if (lifeMs < SHORT_LIFE_MS) {
      this.#dialLater();
      return;
    }
    this.#waitMs = FIRST_WAIT_MS;
    void this.#dial();
  };

  #takeWaiting(): readonly UpstreamCall[] {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    return waiting;
  }
}
