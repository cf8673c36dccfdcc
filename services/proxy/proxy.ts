/**
 * The host's proxy: it forwards the streams of one gRPC service between clients and the enclave,
 * and holds no key (docs/protocol.md §1). Everybody on either side is taken for hostile; what the proxy protects is that
 * the others can still be served.
 */
import type { Socket } from "node:net";
import {
  type Address,
  formatAddress,
  parseAddress,
  requireVsockBuffer,
} from "../../transport/address.ts";
import { listen } from "../../transport/listen.ts";
import type { Listener } from "../../transport/listener.ts";
import { completeLimits, requirePositiveInteger } from "../complete-limits.ts";
import { BufferBudget } from "./buffer-budget.ts";
import { EnclavePool } from "./enclave-pool.ts";
import { FrontDoor, type ProxyTls } from "./front-door.ts";
import { FrontConnection, type FrontContext } from "./front.ts";
import { Health } from "./health.ts";
import { DEFAULT_LIMITS, type ProxyLimits } from "./limits.ts";
import { type Logger, silentLogger } from "./logger.ts";
import { PeerLimits } from "./peer-limits.ts";

/** What a proxy is made of. */
export interface ProxyOptions {
  /** Where clients connect. */
  readonly listen: Address | string;
  /** Where the enclave listens. */
  readonly enclave: Address | string;
  /** Plain HTTP/2 without it. */
  readonly tls?: ProxyTls | undefined;
  /**
   * Bytes that a client may have on its way on one stream, 32 MiB by default. A long link carries
   * half of it per round trip. Sessions bound what they send ahead themselves, by credit.
   */
  readonly windowBytes?: number | undefined;
  readonly limits?: Partial<ProxyLimits> | undefined;
  /**
   * Bytes that the kernel takes in ahead on `vsock:` addresses, which bounds the enclave's packets;
   * 28,672 by default, since several kernels lose or corrupt packets above 32 KiB.
   */
  readonly vsockBufferBytes?: number | undefined;
  /** Milliseconds until an attempt to reach the enclave fails; 10,000 by default. */
  readonly dialTimeoutMs?: number | undefined;
  /** Milliseconds between PINGs to the enclave; 15,000 by default. */
  readonly pingIntervalMs?: number | undefined;
  readonly logger?: Logger | undefined;
}

/** A running proxy. */
export interface Proxy {
  /** The bound address. */
  readonly address: string;
  /** What waits in the proxy's queues for slower sides; for tests and measurements. */
  readonly load: ProxyLoad;
  /**
   * Drains and stops: health says NOT_SERVING, clients get GOAWAY, and streams that are open after
   * `graceMs` (30,000 by default) end as UNAVAILABLE. A second call may shorten the grace.
   */
  close(graceMs?: number): Promise<void>;
}

/** Counters of a running proxy. */
export interface ProxyLoad {
  readonly frontConnections: number;
  readonly enclaveConnections: number;
  readonly forwardedStreams: number;
  /** The most bytes that ever waited in streams which stood still. */
  readonly peakWaitingBytes: number;
  /** Bytes that wait in front sockets now. */
  readonly queuedBytes: number;
}

export const DEFAULT_WINDOW_BYTES: number = 32 * 1024 * 1024;
const MAX_WINDOW_BYTES = 2 ** 30 - 1;
const DEFAULT_DIAL_TIMEOUT_MS = 10_000;
const DEFAULT_PING_INTERVAL_MS = 15_000;
const DEFAULT_GRACE_MS = 30_000;
/** Node's timers fire at once beyond this. */
const MAX_TIMER_MS = 2 ** 31 - 1;
const LOOK_INTERVAL_MS = 10_000;
const GREETING_TIMEOUT_MS = 10_000;
/** What the last statuses get to reach their clients. */
const FAREWELL_MS = 250;

/**
 * Starts a proxy. It resolves when clients can connect, whether or not the enclave can be reached.
 *
 * @throws TypeError or RangeError when an option is none, TransportError `unreachable` when the
 *   address cannot be bound, and what node:tls throws of a key or certificate.
 */
export async function startProxy(options: ProxyOptions): Promise<Proxy> {
  const proxy = new RunningProxy(options);
  try {
    await proxy.listen(addressOf(options.listen), options.vsockBufferBytes);
  } catch (error) {
    await proxy.close(0);
    throw error;
  }
  return proxy;
}

class RunningProxy implements Proxy {
  readonly #context: FrontContext;
  readonly #door: FrontDoor;
  readonly #connections = new Set<FrontConnection>();
  readonly #look: NodeJS.Timeout;
  #listener: Listener | undefined;
  #closing: Promise<void> | undefined;
  #endGrace: () => void = () => {};
  #onChange: () => void = () => {};

  constructor(options: ProxyOptions) {
    const limits = completeLimits(DEFAULT_LIMITS, options.limits);
    const { windowBytes = DEFAULT_WINDOW_BYTES, logger = silentLogger } = options;
    const { dialTimeoutMs = DEFAULT_DIAL_TIMEOUT_MS } = options;
    const { pingIntervalMs = DEFAULT_PING_INTERVAL_MS, vsockBufferBytes } = options;
    for (const [name, value] of Object.entries({ windowBytes, dialTimeoutMs, pingIntervalMs })) {
      requirePositiveInteger(name, value);
    }
    requireVsockBuffer(vsockBufferBytes);
    if (windowBytes > MAX_WINDOW_BYTES) {
      throw new RangeError(`windowBytes is ${windowBytes}, expected at most ${MAX_WINDOW_BYTES}`);
    }
    const address = addressOf(options.enclave);
    const peers = new PeerLimits(limits);
    this.#door = new FrontDoor(limits, peers, logger, options.tls, (socket) => this.#enter(socket));
    const health = new Health();
    this.#context = {
      budget: new BufferBudget(limits.maxBufferedBytes),
      greetingTimeoutMs: GREETING_TIMEOUT_MS,
      health,
      limits,
      logger,
      onStreamClose: () => this.#onChange(),
      peers,
      pool: new EnclavePool({
        address,
        dialTimeoutMs,
        logger,
        maxEnclaveConnections: limits.maxEnclaveConnections,
        onChange: (up) => {
          health.serving = up && this.#closing === undefined;
        },
        pingIntervalMs,
        vsockBufferBytes,
      }),
      windowBytes,
    };
    this.#look = setInterval(() => this.#lookAround(), LOOK_INTERVAL_MS).unref();
  }

  get address(): string {
    return this.#listener === undefined ? "" : formatAddress(this.#listener.address);
  }

  get load(): ProxyLoad {
    return {
      enclaveConnections: this.#context.pool.size,
      forwardedStreams: this.#forwardedStreams,
      frontConnections: this.#door.connections,
      peakWaitingBytes: this.#context.budget.peakBytes,
      queuedBytes: [...this.#connections].reduce((sum, { queuedBytes }) => sum + queuedBytes, 0),
    };
  }

  async listen(address: Address, vsockBufferBytes: number | undefined): Promise<void> {
    this.#listener = await listen(address, (socket) => this.#door.admit(socket), {
      vsockBufferBytes,
      onAcceptError: (error) =>
        this.#context.logger.warn({ reason: error.message }, "cannot accept a connection"),
    });
  }

  async close(graceMs: number = DEFAULT_GRACE_MS): Promise<void> {
    this.#closing ??= this.#drain();
    const timer = setTimeout(this.#endGrace, Math.min(graceMs, MAX_TIMER_MS));
    try {
      await this.#closing;
    } finally {
      clearTimeout(timer);
    }
  }

  get #forwardedStreams(): number {
    return [...this.#connections].reduce((sum, { forwarded }) => sum + forwarded, 0);
  }

  #enter(socket: Socket): void {
    if (this.#closing !== undefined) {
      // It was let in before the listener closed, and TLS took until now.
      socket.destroy();
      return;
    }
    const connection: FrontConnection = new FrontConnection(socket, this.#context, () => {
      this.#connections.delete(connection);
      this.#onChange();
    });
    this.#connections.add(connection);
  }

  async #drain(): Promise<void> {
    const { health, pool } = this.#context;
    const grace = new Promise<void>((resolve) => {
      this.#endGrace = resolve;
    });
    health.serving = false;
    await this.#listener?.close();
    for (const connection of this.#connections) {
      connection.drain();
    }
    await Promise.race([grace, this.#until(() => this.#forwardedStreams === 0)]);
    health.close();
    for (const connection of this.#connections) {
      connection.stop();
    }
    const farewell = new Promise<void>((resolve) => {
      setTimeout(resolve, FAREWELL_MS).unref();
    });
    await Promise.race([farewell, this.#until(() => this.#connections.size === 0)]);
    this.#door.close();
    pool.close();
    clearInterval(this.#look);
  }

  async #until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      await new Promise<void>((resolve) => {
        this.#onChange = resolve;
      });
    }
  }

  #lookAround(): void {
    const nowMs = performance.now();
    this.#context.peers.sweep(nowMs);
    for (const connection of this.#connections) {
      connection.checkProgress(nowMs);
    }
  }
}

function addressOf(address: Address | string): Address {
  return typeof address === "string" ? parseAddress(address) : address;
}
