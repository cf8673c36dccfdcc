/** What a call needs of the session that it belongs to. */
import type { CryptoBackend } from "../crypto/backend.ts";
import type { Status } from "./call-message.ts";
import type { Link } from "./credit.ts";
import type { KnownTexts } from "./known-texts.ts";
import type { Sender } from "./turns.ts";

/** Its times are on the driver's clock, as last seen. */
export interface CallHost extends Link {
  /** When the session's clock was 0, on the driver's clock. */
  readonly startMs: number;
  /** Bytes that the peer receives per call at first, and that this side does. */
  readonly sendCredit: number;
  readonly receiveCredit: number;
  /** -1: unlimited. */
  readonly maxReceiveMessageBytes: number;
  /** Where arrays come from and go; see `CryptoBackend`. */
  readonly memory: Pick<CryptoBackend, "allocate" | "release">;
  /** Of what came before, for whatever is decoded. */
  readonly texts: KnownTexts;
  /** The call has a frame that may leave. */
  ready(call: Sender): void;
  /** Queues a frame that overtakes. */
  control(type: number, callId: number, body: readonly number[] | Status, flags?: number): void;
  /** Calls back once the record that is being filled is sealed. */
  afterSeal(callbacks: readonly (() => void)[]): void;
  /** What the session keeps in memory changed by this much. */
  charge(bytes: number): void;
}
