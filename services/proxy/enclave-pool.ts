/**
 * The connections to one enclave: one that is kept open, and more while the enclave's own limit on
 * streams makes them necessary. A lost enclave is dialed again with back-off; meanwhile a new
 * stream fails at once.
 */
import { formatAddress } from "../../transport/address.ts";
import { EnclaveConnection, type EnclaveTarget } from "./enclave-connection.ts";
import { STATUS } from "./header.ts";
import type { Logger } from "./logger.ts";

/** Settings of a pool. */
export interface EnclavePoolOptions extends EnclaveTarget {
  readonly maxEnclaveConnections: number;
  /** Milliseconds between PINGs, and until an unanswered one ends its connection. */
  readonly pingIntervalMs: number;
  readonly logger: Logger;
  /** The enclave can be reached, or no longer. */
  readonly onChange: (up: boolean) => void;
}

/** No place for a stream; `code` and the message go to the client. */
export class NoPlaceError extends Error {
  override readonly name = "NoPlaceError";
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

const MIN_BACKOFF_MS = 100;
/** A dial costs a local system call or two, and until it succeeds nobody is served. */
const MAX_BACKOFF_MS = 5_000;
/** A connection that lived this long ends a series of failures. */
const GOOD_LIFE_MS = 5_000;
/** The address stays in the log: it is none of the client's business. */
const AWAY = "the proxy cannot reach the enclave";

/** A stream that waits for a connection. */
interface Waiting {
  readonly resolve: (connection: EnclaveConnection) => void;
  readonly reject: (error: NoPlaceError) => void;
}

/** Connections to the enclave; dials the first when it is made. */
export class EnclavePool {
  readonly #options: EnclavePoolOptions;
  readonly #connections = new Set<EnclaveConnection>();
  readonly #draining = new Set<EnclaveConnection>();
  readonly #idle = new Set<EnclaveConnection>();
  readonly #closing = new AbortController();
  readonly #beat: NodeJS.Timeout;
  #waiting: Waiting[] = [];
  #dialing = false;
  #retry: NodeJS.Timeout | undefined;
  #failures = 0;
  /** The attempt that is under way is the first one: what waits for it need not fail at once. */
  #hopeful = true;
  #up: boolean | undefined;

  constructor(options: EnclavePoolOptions) {
    this.#options = options;
    this.#beat = setInterval(() => this.#look(), options.pingIntervalMs).unref();
    void this.#dial();
  }

  /** Whether the enclave can be reached. */
  get up(): boolean {
    return this.#up === true;
  }

  /** Connections that take streams. */
  get size(): number {
    return this.#connections.size;
  }

  /**
   * Reserves a place for one stream.
   *
   * Waits only for an attempt that nothing speaks against: the first one, or one more connection
   * to an enclave that can be reached.
   *
   * @throws NoPlaceError with UNAVAILABLE or RESOURCE_EXHAUSTED.
   */
  async reserve(): Promise<EnclaveConnection> {
    const connection = this.#withRoom();
    if (connection !== undefined) {
      connection.reserve();
      return connection;
    }
    if (this.#closing.signal.aborted) {
      throw new NoPlaceError(STATUS.unavailable, "the proxy is shutting down");
    }
    if (this.#connections.size >= this.#options.maxEnclaveConnections) {
      throw new NoPlaceError(STATUS.resourceExhausted, "every connection to the enclave is full");
    }
    if (this.#connections.size === 0 && !this.#hopeful) {
      throw new NoPlaceError(STATUS.unavailable, AWAY);
    }
    return new Promise<EnclaveConnection>((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      void this.#dial();
    });
  }

  /** Takes no more streams; those that are open go on. */
  drain(): void {
    this.#closing.abort();
    clearInterval(this.#beat);
    clearTimeout(this.#retry);
    this.#refuseWaiting("the proxy is shutting down");
    for (const connection of this.#connections) {
      connection.drain();
    }
  }

  /** Closes everything. */
  close(): void {
    this.drain();
    for (const connection of this.#draining) {
      connection.destroy();
    }
  }

  #withRoom(): EnclaveConnection | undefined {
    for (const connection of this.#connections) {
      if (connection.hasRoom) {
        return connection;
      }
    }
    return undefined;
  }

  async #dial(): Promise<void> {
    const { signal } = this.#closing;
    if (this.#dialing || signal.aborted) {
      return;
    }
    this.#dialing = true;
    clearTimeout(this.#retry);
    this.#retry = undefined;
    let openedMs = 0;
    try {
      const connection = await EnclaveConnection.open(this.#options, signal, (gone) =>
        this.#remove(gone, performance.now() - openedMs),
      );
      openedMs = performance.now();
      if (!connection.isOpen) {
        // What came behind its greeting has ended it.
        throw new Error(connection.goneReason || "it broke off after its greeting");
      }
      this.#dialing = false;
      if (signal.aborted) {
        connection.destroy();
        return;
      }
      this.#connections.add(connection);
      this.#hopeful = false;
      this.#setUp(true, "");
      this.#serveWaiting();
    } catch (error) {
      this.#dialing = false;
      if (!signal.aborted) {
        this.#failed(error instanceof Error ? error.message : String(error));
      }
    }
  }

  #remove(connection: EnclaveConnection, livedMs: number): void {
    this.#draining.add(connection);
    this.#idle.delete(connection);
    if (!this.#connections.delete(connection) || this.#closing.signal.aborted) {
      return;
    }
    if (this.#connections.size > 0) {
      return;
    }
    this.#failures = livedMs >= GOOD_LIFE_MS ? 1 : this.#failures + 1;
    this.#setUp(false, connection.goneReason);
    if (this.#failures === 1) {
      this.#hopeful = true;
      void this.#dial();
    } else {
      this.#backOff();
    }
  }

  #failed(reason: string): void {
    this.#refuseWaiting(AWAY);
    if (this.#connections.size > 0) {
      this.#options.logger.warn({ reason }, "no further connection to the enclave");
      return;
    }
    this.#setUp(false, reason);
    this.#hopeful = false;
    this.#failures += 1;
    this.#backOff();
  }

  #backOff(): void {
    // The first failure after a connection was lost is the second in the row.
    const exponent = Math.max(0, this.#failures - 2);
    const backoffMs = Math.min(MAX_BACKOFF_MS, MIN_BACKOFF_MS * 2 ** exponent);
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => void this.#dial(), backoffMs * (0.5 + Math.random() / 2));
  }

  #serveWaiting(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const [index, { resolve }] of waiting.entries()) {
      const connection = this.#withRoom();
      if (connection === undefined) {
        this.#waiting = waiting.slice(index);
        break;
      }
      connection.reserve();
      resolve(connection);
    }
    if (this.#waiting.length > 0) {
      // A connection that takes not a single stream: dialing on could go on for ever.
      const isOfUse = this.#waiting.length < waiting.length;
      if (isOfUse && this.#connections.size < this.#options.maxEnclaveConnections) {
        void this.#dial();
      } else {
        this.#refuseWaiting("every connection to the enclave is full", STATUS.resourceExhausted);
      }
    }
  }

  #refuseWaiting(message: string, code: number = STATUS.unavailable): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { reject } of waiting) {
      reject(new NoPlaceError(code, message));
    }
  }

  #setUp(up: boolean, reason: string): void {
    if (this.#up === up) {
      this.#options.logger.debug({ up, reason }, "enclave unchanged");
      return;
    }
    this.#up = up;
    const enclave = formatAddress(this.#options.address);
    if (up) {
      this.#options.logger.info({ enclave }, "enclave reached");
    } else {
      this.#options.logger.warn({ enclave, reason }, "enclave away");
    }
    this.#options.onChange(up);
  }

  /** Pings every connection, and closes one that was needed for a while and is no longer. */
  #look(): void {
    for (const connection of this.#draining) {
      if (connection.lost) {
        this.#draining.delete(connection);
      }
    }
    for (const connection of this.#connections) {
      if (connection.streams > 0) {
        this.#idle.delete(connection);
      } else if (!this.#idle.has(connection)) {
        this.#idle.add(connection);
      } else if (this.#connections.size > 1) {
        connection.drain();
        continue;
      }
      connection.ping();
    }
  }
}
