/** What a session is made of, and what it tells whoever drives it. */
import type { CryptoBackend } from "../crypto/backend.ts";
import type { Budget } from "./budget.ts";
import type { OnCall } from "./enclave-calls.ts";
import type { ChannelError } from "./errors.ts";
import type { Established } from "./established.ts";
import type { Padding } from "./padding.ts";

export interface SessionEvents {
  /** There is something to take; may come often. */
  onOutput(): void;
  /** Client: no call can be opened any more, by GOAWAY or by age. Make the next session. */
  onDraining?(): void;
  /**
   * Last, when all calls have ended; `undefined` after an orderly end. One record may still wait to
   * be taken: the alert, or the `end`.
   */
  onClosed(error: ChannelError | undefined): void;
}

interface CommonOptions {
  readonly backend: CryptoBackend;
  readonly established: Established;
  readonly events: SessionEvents;
  /** Any monotonic clock, in milliseconds, now that sealed_s was made or opened: the session's 0. */
  readonly nowMs: number;
  /** @default "padme" */
  readonly padding?: Padding;
  /** -1: unlimited. @default 4 MiB */
  readonly maxReceiveMessageBytes?: number;
  /** Shared by all sessions of an endpoint. @default unlimited */
  readonly budget?: Budget;
  /** For tests: see `DirectionOptions`. */
  readonly keyLimitBytes?: number;
  readonly keyLimitMs?: number;
}

export type SessionOptions =
  | (CommonOptions & { readonly role: "client" })
  | (CommonOptions & { readonly role: "enclave"; readonly onCall: OnCall });
