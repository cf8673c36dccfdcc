/**
 * One outer stream at the client: the handshake, each step limited in time, then the records of its
 * session (docs/protocol.md §4, §7). What the outer stream says by itself, a status or its loss, is
 * hearsay: it ends the session and is quoted, never believed.
 */
import type { ClientDuplexStream } from "@grpc/grpc-js";

import type { Budget } from "../../channel/budget.ts";
import { ClientHandshake } from "../../channel/client-handshake.ts";
import type { ClientHandshakeOptions } from "../../channel/client-handshake.ts";
import { ChannelError } from "../../channel/errors.ts";
import { giveArray } from "../../channel/record-array.ts";
import { encodeRecordMessage, GRPC_PREFIX_BYTES, parseOuter } from "../../channel/outer-message.ts";
import type { Padding } from "../../channel/padding.ts";
import { Session } from "../../channel/session.ts";
import type { CryptoBackend } from "../../crypto/backend.ts";
import { TransportError } from "../../transport/errors.ts";
import { SessionDriver } from "../grpc/session-driver.ts";
import type { LiveSession, PendingSession, SessionObserver } from "./live-session.ts";
import { outerError } from "./status.ts";

/** Time limit of each step of the handshake. */
const STEP_TIMEOUT_MS = 5_000;

/** What every session of a channel is made with. */
export interface OuterSessionOptions {
  readonly backend: CryptoBackend;
  readonly handshake: ClientHandshakeOptions;
  readonly padding: Padding;
  readonly maxReceiveMessageBytes: number;
  readonly budget: Budget;
  /** The first message of the stream came: the connection may have been made just now. */
  readonly onConnected: () => void;
}

type Step = "hello" | "finish" | "open" | "over";

export class OuterSession implements PendingSession {
  readonly #stream: ClientDuplexStream<Uint8Array, Buffer>;
  readonly #options: OuterSessionOptions;
  readonly #observer: SessionObserver;
  readonly #handshake: ClientHandshake;
  readonly #driver: SessionDriver;
  #step: Step = "hello";
  /** The enclave has been answered, or is being; nothing of it is due. */
  #isAnswering = false;
  #timer: NodeJS.Timeout | undefined;
  #session: Session | undefined;
  #unwrittenBytes = 0;
  #status: unknown;
  #hasEnded = false;
  #outerError: TransportError | undefined;

  constructor(
    stream: ClientDuplexStream<Uint8Array, Buffer>,
    options: OuterSessionOptions,
    observer: SessionObserver,
  ) {
    this.#stream = stream;
    this.#options = options;
    this.#observer = observer;
    this.#handshake = new ClientHandshake(options.handshake);
    this.#driver = new SessionDriver({
      unwrittenBytes: () => this.#unwrittenBytes,
      write: (buffer) => this.#write(encodeRecordMessage(buffer, false)),
      end: () => stream.end(),
    });
    stream.on("data", (message: Buffer) => this.#receive(message));
    stream.on("status", (status) => {
      this.#status = status;
    });
    // Without a listener it would be thrown; the status says the same.
    stream.on("error", () => undefined);
    // After the last message, so that what was sealed is read before the outer status counts.
    stream.on("end", () => this.#ended());
    this.#limit();
    stream.write(this.#handshake.hello());
  }

  abandon(): void {
    if (this.#step === "over" || this.#step === "open") return;
    this.#step = "over";
    clearTimeout(this.#timer);
    this.#handshake.destroy();
    this.#stream.cancel();
  }

  #receive(message: Buffer): void {
    switch (this.#step) {
      case "open":
        this.#receiveRecord(message);
        return;
      case "hello":
        this.#options.onConnected();
        void this.#answerHello(message);
        return;
      case "finish":
        this.#receiveFinish(message);
        return;
      case "over":
        return;
    }
  }

  async #answerHello(message: Uint8Array): Promise<void> {
    if (this.#isAnswering) {
      this.#fail(new ChannelError("malformed-handshake", "a message out of order"));
      return;
    }
    this.#isAnswering = true;
    this.#limit();
    try {
      const finish = await this.#handshake.receiveHello(message);
      if (this.#isOver()) return;
      this.#step = "finish";
      this.#limit();
      this.#stream.write(finish);
    } catch (error) {
      this.#fail(error as Error);
    }
  }

  #receiveFinish(message: Uint8Array): void {
    const { backend, padding, maxReceiveMessageBytes, budget } = this.#options;
    let session: Session;
    let live: LiveSession;
    try {
      const established = this.#handshake.receiveFinish(message);
      session = new Session({
        role: "client",
        backend,
        established,
        padding,
        maxReceiveMessageBytes,
        budget,
        nowMs: performance.now(),
        events: {
          onOutput: this.#driver.onOutput,
          onDraining: () => this.#observer.onDraining(),
          onClosed: () => this.#closed(),
        },
      });
      live = this.#live(session, established.terms.maxAgeMs);
    } catch (error) {
      this.#fail(error as Error);
      return;
    }
    clearTimeout(this.#timer);
    this.#step = "open";
    this.#session = session;
    this.#driver.drive(session);
    this.#observer.onOpen(live);
  }

  #live(session: Session, maxAgeMs: number): LiveSession {
    const outerError = (): TransportError | undefined => this.#outerError;
    return {
      session,
      maxConcurrentCalls: session.maxConcurrentCalls,
      maxAgeMs,
      peer: this.#stream.getPeer(),
      get outerError() {
        return outerError();
      },
    };
  }

  #receiveRecord(message: Uint8Array): void {
    let record: Uint8Array | undefined;
    try {
      const outer = parseOuter(message);
      if (outer.kind === "record") record = outer.body;
    } catch {
      // As for a message of the handshake: the stream is of no use any more.
    }
    if (record !== undefined) {
      this.#driver.receive(record);
      // Nothing of it is kept.
      if (isAlone(message)) this.#options.backend.release(message);
      return;
    }
    this.#outerError = new TransportError(
      "closed",
      "outside the seal: a message that is no record",
    );
    this.#session?.receiveStreamEnd(performance.now());
    this.#stream.cancel();
  }

  #write(message: Uint8Array): void {
    this.#unwrittenBytes += message.length;
    this.#stream.write(message, (error?: Error | null) => {
      this.#unwrittenBytes -= message.length;
      // grpc-js sends a copy, made before it calls back; a record holds nothing but sealed bytes.
      if (!error) giveArray(message);
      this.#driver.resume();
    });
  }

  #ended(): void {
    this.#hasEnded = true;
    clearTimeout(this.#timer);
    if (this.#step === "over") return;
    if (this.#step === "open") {
      this.#outerError = outerError("closed", this.#status);
      this.#session?.receiveStreamEnd(performance.now());
    } else this.#fail(outerError("unreachable", this.#status));
  }

  #closed(): void {
    this.#step = "over";
    this.#driver.close();
    if (!this.#hasEnded) {
      // Whoever is at the other end may never end the stream.
      this.#timer = setTimeout(() => this.#stream.cancel(), STEP_TIMEOUT_MS);
      this.#timer.unref();
    }
    this.#observer.onClosed();
  }

  #fail(error: Error): void {
    if (this.#step === "over") return;
    this.abandon();
    this.#observer.onFailed(error);
  }

  #limit(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#fail(new ChannelError("handshake-timeout", `a step took over ${STEP_TIMEOUT_MS} ms`));
    }, STEP_TIMEOUT_MS);
    this.#timer.unref();
  }

  #isOver(): boolean {
    return this.#step === "over";
  }
}

/** Whether the message has its memory to itself: grpc-js makes an array for each, prefix and all. */
function isAlone({ buffer, byteOffset, byteLength }: Uint8Array): boolean {
  return byteOffset === GRPC_PREFIX_BYTES && buffer.byteLength === byteOffset + byteLength;
}
