/** What a call needs of the channel that it belongs to. */
import type { CallCredentials, Metadata } from "@grpc/grpc-js";

import type { Entry } from "../../channel/call-message.ts";
import type { CallLedger } from "./call-ledger.ts";
import type { SessionSource } from "./session-source.ts";

export interface CallHost {
  readonly target: string;
  /** The authority of calls that name no host. */
  readonly authority: string;
  readonly source: SessionSource;
  readonly ledger: CallLedger;
  /** -1: unlimited. */
  readonly maxSendMessageBytes: number;
  readonly maxReceiveMessageBytes: number;
  /** For every call of the channel. */
  readonly callCredentials: CallCredentials | undefined;
  readonly userAgent: Entry;
  isIdempotent(method: string): boolean;
  /** Sees the metadata of each call, when some of it may travel outside the seal. */
  readonly onMetadata: ((metadata: Metadata) => void) | undefined;
}
