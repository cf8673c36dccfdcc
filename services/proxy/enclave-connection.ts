/**
 * One HTTP/2 connection to the enclave. It counts its streams itself, because Node queues those
 * beyond the peer's limit without a word, and it pings, because the death of a virtual device makes
 * no event.
 */
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  type OutgoingHttpHeaders,
} from "node:http2";
import type { Socket } from "node:net";
import { type Address, formatAddress } from "../../transport/address.ts";
import { dial } from "../../transport/dial.ts";
import { TransportError } from "../../transport/errors.ts";
import { EarlyAckSocket } from "./early-ack-socket.ts";
import { MAX_HEADER_BYTES, MAX_HEADER_FIELDS, PAUSE_BYTES } from "./limits.ts";

/**
 * What the enclave may have on its way to us, over all streams of the connection. There is no
 * distance to fill, and it is what a small call of one session waits behind when another moves much.
 */
export const ENCLAVE_WINDOW_BYTES: number = 96 * 1024;

/** More than the enclave's windows can ever let us send; beyond it the enclave does not read. */
const HOLD_BYTES = 64 * 1024 * 1024;

/** How to reach the enclave. */
export interface EnclaveTarget {
  readonly address: Address;
  /** Milliseconds until an attempt, with HTTP/2's greeting, fails. */
  readonly dialTimeoutMs: number;
  readonly vsockBufferBytes?: number | undefined;
}

/** A connection whose greeting has arrived, until `onGone`. */
export class EnclaveConnection {
  /** Why the connection takes no more streams; empty while it does. */
  goneReason = "";
  readonly #session: ClientHttp2Session;
  readonly #onGone: () => void;
  #streams = 0;
  #pinging = false;

  /** `onGone` is called once, when the connection takes no more streams; those it has may go on. */
  private constructor(
    session: ClientHttp2Session,
    onGone: (connection: EnclaveConnection) => void,
  ) {
    this.#session = session;
    this.#onGone = () => onGone(this);
    session.on("error", (error: Error) => this.#gone(error.message));
    session.on("goaway", (code: number) => this.#gone(`the enclave sent GOAWAY ${code}`));
    session.on("close", () => this.#gone("the enclave closed the connection"));
  }

  /**
   * Dials and waits for the enclave's SETTINGS.
   *
   * @throws TransportError `unreachable`, `timeout`, `closed`.
   */
  static async open(
    { address, dialTimeoutMs, vsockBufferBytes }: EnclaveTarget,
    signal: AbortSignal,
    onGone: (connection: EnclaveConnection) => void,
  ): Promise<EnclaveConnection> {
    const startMs = performance.now();
    const socket = await dial(address, { timeoutMs: dialTimeoutMs, signal, vsockBufferBytes });
    const session = startSession(socket);
    const leftMs = Math.max(1, dialTimeoutMs - (performance.now() - startMs));
    try {
      await greeting(address, session, leftMs, signal);
    } catch (error) {
      session.destroy();
      throw error;
    }
    return new EnclaveConnection(session, onGone);
  }

  /** Streams that are open or promised. */
  get streams(): number {
    return this.#streams;
  }

  /** Whether streams may be opened, as far as there is room. Node tells of the end later than it is there. */
  get isOpen(): boolean {
    return this.goneReason === "" && !this.#session.closed && !this.#session.destroyed;
  }

  /** Whether one more stream may be opened. */
  get hasRoom(): boolean {
    return (
      this.isOpen &&
      this.#streams < (this.#session.remoteSettings.maxConcurrentStreams ?? 0xffff_ffff)
    );
  }

  /** Whether the connection is lost, and its streams with it. */
  get lost(): boolean {
    return this.#session.destroyed;
  }

  /** Promises a place for one stream; each takes one {@link release}. */
  reserve(): void {
    this.#streams += 1;
  }

  /** The stream that had the place is closed, or was never opened. */
  release(): void {
    this.#streams -= 1;
  }

  /**
   * Opens a stream in a reserved place.
   *
   * @throws Error when the connection takes no more streams or the header block is illegal.
   */
  request(
    headers: OutgoingHttpHeaders,
    options: { endStream: boolean; signal: AbortSignal },
  ): ClientHttp2Stream {
    return this.#session.request(headers, options);
  }

  /** Sends a PING; the connection is lost when the one before it has no answer yet. */
  ping(): void {
    if (this.#pinging) {
      this.#gone("the enclave does not answer PING");
      this.#session.destroy();
      return;
    }
    if (this.#session.destroyed) {
      return;
    }
    this.#pinging = true;
    this.#session.ping(() => {
      this.#pinging = false;
    });
  }

  /** Takes no more streams and closes when the last one has. */
  drain(): void {
    this.#gone("closed by the proxy");
    this.#session.close();
  }

  /** Closes with all streams. */
  destroy(): void {
    this.#gone("closed by the proxy");
    this.#session.destroy();
  }

  #gone(reason: string): void {
    if (this.goneReason === "") {
      this.goneReason = reason;
      this.#onGone();
    }
  }
}

function startSession(socket: Socket): ClientHttp2Session {
  // The enclave does not read while it waits to write, and the kernel holds less than the windows
  // do (vsock 28 KiB): so this end must read whatever its own writes do.
  const stream = new EarlyAckSocket(socket, {
    holdBytes: () => HOLD_BYTES,
    pauseBytes: PAUSE_BYTES,
  });
  const session = connect("http://enclave", {
    createConnection: () => stream,
    maxSessionMemory: Number.MAX_SAFE_INTEGER,
    maxHeaderListPairs: MAX_HEADER_FIELDS,
    settings: {
      enablePush: false,
      initialWindowSize: ENCLAVE_WINDOW_BYTES,
      maxHeaderListSize: MAX_HEADER_BYTES,
    },
  });
  session.once("connect", () => session.setLocalWindowSize(ENCLAVE_WINDOW_BYTES));
  return session;
}

async function greeting(
  address: Address,
  session: ClientHttp2Session,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<void> {
  const fail = (code: "closed" | "timeout", what: string, cause?: unknown): TransportError =>
    new TransportError(code, `${formatAddress(address)} ${what}`, { cause });
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(
      () => reject(fail("timeout", `sent no HTTP/2 SETTINGS within ${timeoutMs} ms`)),
      timeoutMs,
    );
    const onClose = (): void => reject(fail("closed", "closed without HTTP/2 SETTINGS"));
    const onAbort = (): void => reject(fail("closed", "was given up"));
    session.on("error", (error: Error) =>
      reject(fail("closed", `speaks no HTTP/2: ${error.message}`)),
    );
    session.once("close", onClose);
    signal.addEventListener("abort", onAbort, { once: true });
    session.once("remoteSettings", () => {
      clearTimeout(timer);
      session.off("close", onClose);
      signal.removeEventListener("abort", onAbort);
      resolve();
    });
    session.once("close", () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
    });
  });
}
