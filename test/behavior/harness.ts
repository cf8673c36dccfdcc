/** What the behaviour suite needs of a way between a client and its handlers. */
import type * as grpc from "@grpc/grpc-js";
import type { Forwarder } from "../support/forwarder.ts";
import type { Ledger } from "./ledger.ts";
import type { BehaviorClient } from "./service.ts";

/** A hop that a test can break. */
export interface Link {
  readonly name: string;
  /** Cuts every connection; new ones are taken. */
  cut(): void;
  /** Cuts every connection and takes no new one. */
  down(): Promise<void>;
  up(): Promise<void>;
}

/** A hop that goes through a forwarder. */
export function linkOf(name: string, forwarder: Forwarder): Link {
  return {
    name,
    cut: () => forwarder.cut(),
    down: () => forwarder.down(),
    up: () => forwarder.up(),
  };
}

/** One way between stubs and handlers, running. */
export interface Harness {
  readonly ledger: Ledger;
  /** From the client's end to the server's. */
  readonly links: readonly Link[];
  /**
   * A stub on a connection of its own, which `close` closes too; both ends receive messages of
   * `MESSAGE_LIMIT_BYTES`.
   */
  client(interceptors?: readonly grpc.Interceptor[]): BehaviorClient;
  close(): Promise<void>;
}

/** What the cases work with; filled before the first one runs. */
export interface Way extends Omit<Harness, "close"> {
  /** A stub that the cases share. */
  readonly stub: BehaviorClient;
}

/** Who keeps the promises that grpc-js does not make ("Beyond grpc-js"). */
export interface Promises {
  /** The server end that runs the handlers is ours. */
  readonly handlers: boolean;
  /**
   * The hops that `waitForReady` waits for. It is a setting of the client's library and travels in no
   * header, so a sidecar does not know of it: a call that reached one fails when the way behind is down.
   *
   * @default "every hop"
   */
  readonly waitsFor?: "every hop" | "the client's hop";
}

/** What of the suite is run. */
export interface SuiteOptions {
  readonly promises?: Promises;
  /** Without the cases that move much data: for ways that differ in how, not in how much. */
  readonly light?: boolean;
}
