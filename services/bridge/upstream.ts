/**
 * The connections to the application behind a bridge: one that is kept open, and more while the
 * application's own limit on streams makes them necessary. A dial that was of no use is followed by
 * the next with back-off, and a call waits only while there is something to wait for.
 */
import type { Address } from "../../transport/address.ts";
import { UpstreamConnection } from "./upstream-connection.ts";

/** A call that waits: the application is dialed, or takes no more calls just now. */
export interface UpstreamCall {
  onConnection(connection: UpstreamConnection): void;
  /** The application is away, or takes no calls: nothing was sent to it. */
  onRefused(reason: string): void;
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

const AWAY = "the application in the enclave is away";
const TAKES_NONE = "the application takes no calls now";

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
    else if (this.#mayFindRoom()) this.#waiting.add(call);
    else call.onRefused(this.#refusal());
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
    this.#refuseWaiting();
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
      if (connection === undefined) break;
      this.#waiting.delete(call);
      call.onConnection(connection);
    }
    if (!this.#mayFindRoom()) this.#refuseWaiting();
  };

  /** Whether a call that has no place gets one when a dial succeeds or another call ends. */
  #mayFindRoom(): boolean {
    if (this.#isDialing) return true;
    for (const { streams } of this.#connections.keys()) if (streams > 0) return true;
    return false;
  }

  #refusal(): string {
    return this.#connections.size === 0 ? AWAY : TAKES_NONE;
  }

  #refuseWaiting(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const call of waiting) call.onRefused(this.#refusal());
  }

  async #dial(): Promise<void> {
    const { signal } = this.#abort;
    if (this.#isDialing || this.#retryTimer !== undefined || signal.aborted) return;
    this.#isDialing = true;
    let connection: UpstreamConnection | undefined;
    let reason = "";
    try {
      connection = await UpstreamConnection.open(this.#address, signal, {
        onGone: this.#gone,
        onRoom: this.#serve,
      });
    } catch (error) {
      reason = (error as Error).message;
    }
    this.#isDialing = false;
    if (signal.aborted) {
      connection?.close();
      this.#refuseWaiting();
    } else if (connection === undefined) {
      this.#failed(reason);
    } else {
      this.#reached(connection);
    }
  }

  #reached(connection: UpstreamConnection): void {
    this.#connections.set(connection, performance.now());
    // It takes not a single call: dialing on could go on for ever.
    if (!connection.hasRoom) this.#dialLater();
    if (this.#isAway !== false) this.#events.onReached();
    this.#isAway = false;
    this.#serve();
  }

  #failed(reason: string): void {
    this.#dialLater();
    this.#serve();
    if (this.#connections.size > 0) return;
    if (this.#isAway !== true) this.#events.onAway(reason);
    this.#isAway = true;
  }

  /** Until then nothing is dialed. */
  #dialLater(): void {
    if (this.#retryTimer !== undefined) return;
    this.#retryTimer = setTimeout(() => {
      this.#retryTimer = undefined;
      if (this.#connections.size === 0) void this.#dial();
      else this.#serve();
    }, this.#waitMs);
    this.#waitMs = Math.min(MAX_WAIT_MS, 2 * this.#waitMs);
  }

  /** Closed in order or lost: the next call shall find another. */
  readonly #gone = (connection: UpstreamConnection, reason: string): void => {
    const lifeMs = performance.now() - (this.#connections.get(connection) ?? 0);
    this.#connections.delete(connection);
    if (this.#abort.signal.aborted) return;
    if (lifeMs < SHORT_LIFE_MS) {
      this.#failed(reason);
    } else if (this.#connections.size > 0) {
      this.#serve();
    } else {
      this.#waitMs = FIRST_WAIT_MS;
      clearTimeout(this.#retryTimer);
      this.#retryTimer = undefined;
      void this.#dial();
    }
  };
}
