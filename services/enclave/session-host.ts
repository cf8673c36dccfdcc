/** All streams of a server: those that shake hands, and those that carry a session. */
import type { ServerHttp2Stream } from "node:http2";

import type { ServerInterceptor } from "@grpc/grpc-js";

import { defaultBackend } from "#default-backend";
import { AttestationError } from "../../attestation/errors.ts";
import { Budget } from "../../channel/budget.ts";
import { ChannelError } from "../../channel/errors.ts";
import type { Established, SessionTerms } from "../../channel/established.ts";
import { HelloBatcher } from "../../channel/hello-batch.ts";
import type { Padding } from "../../channel/padding.ts";
import type { SessionEvents } from "../../channel/session-options.ts";
import { Session } from "../../channel/session.ts";
import type { SuiteId } from "../../channel/suite.ts";
import type { CallerPolicy } from "./caller-policy.ts";
import { answerOnly, ConnectStream, UNAVAILABLE } from "./connect-stream.ts";
import type { ConnectHost } from "./connect-stream.ts";
import type { CallSettings } from "./base-call.ts";
import type { Dispatcher } from "./dispatcher.ts";
import type { EvidenceSource } from "./evidence-source.ts";
import { termsOf } from "./limits.ts";
import type { EnclaveLimits } from "./limits.ts";
import { factsOf } from "./logger.ts";
import type { Logger } from "./logger.ts";

export interface SessionHostOptions {
  readonly dispatcher: Dispatcher;
  readonly evidence: EvidenceSource;
  readonly limits: EnclaveLimits;
  readonly suites: readonly SuiteId[];
  readonly appInfo: Uint8Array;
  readonly padding: Padding;
  readonly interceptors: readonly ServerInterceptor[];
  readonly maxReceiveMessageBytes: number;
  readonly maxSendMessageBytes: number;
  readonly onHandlerError: CallSettings["onHandlerError"];
  readonly logger: Logger;
}

/** Time beyond the grace for what was said last to be written. */
const FLUSH_MS = 1_000;

export class SessionHost implements ConnectHost {
  readonly handshakeTimeoutMs: number;
  readonly terms: SessionTerms;
  readonly hellos: HelloBatcher;
  readonly #options: SessionHostOptions;
  readonly #budget: Budget;
  readonly #streams = new Set<ConnectStream>();
  readonly #sessions = new Set<ConnectStream>();
  #onEmpty: (() => void) | undefined;
  #draining = false;

  constructor(options: SessionHostOptions) {
    const { evidence, limits, suites, appInfo } = options;
    this.#options = options;
    this.handshakeTimeoutMs = limits.handshakeTimeoutMs;
    this.terms = termsOf(limits);
    this.#budget = new Budget(limits.maxBufferedBytes);
    const { verifyCaller } = evidence;
    this.hellos = new HelloBatcher({
      backend: defaultBackend,
      suites,
      appInfo,
      // The other half of the time is the client's.
      attest: (request) => evidence.attest(request, limits.handshakeTimeoutMs / 2),
      maxUnfinished: limits.maxUnfinishedHandshakes,
      ...(verifyCaller === undefined ? {} : { verifyCaller }),
    });
  }

  /** Takes a stream, or refuses it for want of room. */
  readonly accept = (stream: ServerHttp2Stream): void => {
    const unfinished = this.#streams.size - this.#sessions.size;
    const isFull = unfinished >= this.#options.limits.maxUnfinishedHandshakes;
    if (this.#draining || isFull || !this.hasRoom()) {
      stream.on("error", () => {});
      answerOnly(stream, UNAVAILABLE);
      return;
    }
    this.#streams.add(new ConnectStream(stream, this));
  };

  /** Ends everything: handshakes at once, sessions when their calls are over or after `graceMs`. */
  async drain(graceMs: number): Promise<void> {
    this.#draining = true;
    for (const stream of this.#streams) stream.goAway(graceMs);
    if (this.#streams.size === 0) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => this.cut(), graceMs + FLUSH_MS);
      this.#onEmpty = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** Ends at once every session whose caller the policy does not admit any more. */
  reappraise(callers: CallerPolicy): void {
    for (const stream of this.#sessions) stream.reappraise(callers);
  }

  /** Cuts whatever is left. */
  cut(): void {
    for (const stream of this.#streams) stream.cut();
  }

  hasRoom(): boolean {
    return this.#sessions.size < this.#options.limits.maxSessions;
  }

  createSession(established: Established, events: SessionEvents, nowMs: number): Session {
    const { dispatcher, padding, maxReceiveMessageBytes, maxSendMessageBytes } = this.#options;
    const { evidence } = established;
    const settings: CallSettings = {
      maxReceiveMessageBytes,
      maxSendMessageBytes,
      interceptors: this.#options.interceptors,
      authContext: Object.freeze({ transportSecurityType: "sealrpc", evidence }),
      onHandlerError: this.#options.onHandlerError,
    };
    return new Session({
      role: "enclave",
      backend: defaultBackend,
      established,
      events,
      nowMs,
      padding,
      maxReceiveMessageBytes,
      budget: this.#budget,
      onCall: (call, header) => dispatcher.open(call, header, settings),
    });
  }

  began(stream: ConnectStream): void {
    this.#sessions.add(stream);
    this.#options.logger.debug({ sessions: this.#sessions.size }, "a session began");
  }

  closed(stream: ConnectStream): void {
    this.#streams.delete(stream);
    this.#sessions.delete(stream);
    if (this.#streams.size === 0) this.#onEmpty?.();
  }

  failed(error: unknown): void {
    const { logger } = this.#options;
    if (error instanceof ChannelError) {
      logger.debug({ code: error.code }, "a session failed");
    } else if (error instanceof AttestationError && error.code !== "nsm-unavailable") {
      logger.info({ code: error.code }, "a caller was refused");
    } else {
      logger.warn(factsOf(error), "no evidence of this enclave could be had");
    }
  }
}
