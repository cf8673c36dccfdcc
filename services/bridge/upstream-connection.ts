/**
 * One HTTP/2 connection to the application. It counts its streams itself: Node queues those beyond
 * the application's limit without a word, and some versions leave the last of them there.
 */
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  type OutgoingHttpHeaders,
} from "node:http2";
import { setImmediate as turn } from "node:timers/promises";

import { type Address, formatAddress } from "../../transport/address.ts";
import { dial } from "../../transport/dial.ts";
import { TransportError } from "../../transport/errors.ts";
import {
  MAX_HEADER_BYTES,
  MAX_HEADER_FIELDS,
  MAX_SENT_HEADER_BYTES,
  WINDOW_BYTES,
} from "../http2/settings.ts";

/** Until an attempt, with HTTP/2's greeting, fails. */
const DIAL_TIMEOUT_MS = 10_000;

export interface ConnectionEvents {
  /** Once: the connection takes no more calls; those that it has may go on. */
  readonly onGone: (connection: UpstreamConnection, reason: string) => void;
  /** A call has ended, or the application has another limit: there may be room for one that waits. */
  readonly onRoom: () => void;
}

/** A connection whose greeting has arrived, until `onGone`. */
export class UpstreamConnection {
  readonly #session: ClientHttp2Session;
  readonly #events: ConnectionEvents;
  #streams = 0;

  private constructor(session: ClientHttp2Session, events: ConnectionEvents) {
    this.#session = session;
    this.#events = events;
    let isGone = false;
    const gone = (reason: string): void => {
      if (!isGone) events.onGone(this, reason);
      isGone = true;
    };
    session.on("remoteSettings", events.onRoom);
    session.on("error", (error: Error) => gone(error.message));
    session.on("goaway", (code: number) => gone(`it sent GOAWAY ${code}`));
    session.on("close", () => gone("it closed the connection"));
  }

  /**
   * Dials and waits for the application's SETTINGS, and for what is in one packet with them.
   *
   * @throws TransportError `unreachable`, `timeout`, `closed`.
   */
  static async open(
    address: Address,
    signal: AbortSignal,
    events: ConnectionEvents,
  ): Promise<UpstreamConnection> {
    const socket = await dial(address, { timeoutMs: DIAL_TIMEOUT_MS, signal });
    const session = connect("http://application", {
      createConnection: () => socket,
      maxSessionMemory: Number.MAX_SAFE_INTEGER,
      maxHeaderListPairs: MAX_HEADER_FIELDS,
      maxSendHeaderBlockLength: MAX_SENT_HEADER_BYTES,
      settings: {
        enablePush: false,
        initialWindowSize: WINDOW_BYTES,
        maxHeaderListSize: MAX_HEADER_BYTES,
      },
    });
    session.once("connect", () => session.setLocalWindowSize(WINDOW_BYTES));
    try {
      await greeting(formatAddress(address), session, signal);
      await turn();
      if (session.closed || session.destroyed) {
        const what = "ended the connection right behind its HTTP/2 SETTINGS";
        throw new TransportError("closed", `${formatAddress(address)} ${what}`);
      }
    } catch (error) {
      session.destroy();
      throw error;
    }
    return new UpstreamConnection(session, events);
  }

  /** Calls that are open on it. */
  get streams(): number {
    return this.#streams;
  }

  /** Whether the application takes one more call on it now. */
  get hasRoom(): boolean {
    return this.#streams < (this.#session.remoteSettings.maxConcurrentStreams ?? 0xffff_ffff);
  }

  /** Whether the connection is lost, and its calls with it. */
  get isLost(): boolean {
    return this.#session.destroyed;
  }

  /** @throws Error when the connection takes no more calls, or for an illegal header block. */
  request(headers: OutgoingHttpHeaders): ClientHttp2Stream {
    const stream = this.#session.request(headers, { endStream: false });
    this.#streams += 1;
    stream.once("close", () => {
      // Node 24 lets go of the stream later than it says so, and would leave a request of this turn where it is.
      setImmediate(() => {
        this.#streams -= 1;
        this.#events.onRoom();
      });
    });
    return stream;
  }

  /** Closes when the last call has ended. */
  close(): void {
    this.#session.close();
  }
}

async function greeting(
  address: string,
  session: ClientHttp2Session,
  signal: AbortSignal,
): Promise<void> {
  const fail = (code: "closed" | "timeout", what: string): TransportError =>
    new TransportError(code, `${address} ${what}`);
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(fail("timeout", `sent no HTTP/2 SETTINGS within ${DIAL_TIMEOUT_MS} ms`));
    }, DIAL_TIMEOUT_MS);
    const onAbort = (): void => reject(fail("closed", "was given up"));
    signal.addEventListener("abort", onAbort, { once: true });
    session.on("error", (error: Error) => {
      reject(fail("closed", `speaks no HTTP/2: ${error.message}`));
    });
    session.once("close", () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
      reject(fail("closed", "closed without HTTP/2 SETTINGS"));
    });
    session.once("remoteSettings", () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
      resolve();
    });
  });
}
