/** How calls begin: with the metadata that they were given, and what call credentials add to it. */
import { status as Code } from "@grpc/grpc-js";
import type { CallCredentials, Metadata } from "@grpc/grpc-js";

import type { CallHost } from "./call-host.ts";
import {
  CredentialsFailure,
  combineCredentials,
  requestEntries,
  withCredentials,
} from "./call-metadata.ts";
import type { SealedCall } from "./sealed-call.ts";

const MAX_TIMER_MS = 2 ** 31 - 1;
const NOTHING: readonly never[] = [];

/** A call that is about to begin. */
export interface CallStart {
  readonly sealed: SealedCall;
  readonly host: CallHost;
  readonly method: string;
  readonly authority: string;
  readonly deadlineMs: number;
  readonly metadata: Metadata;
  /** The call's own, in addition to the channel's. */
  readonly credentials: CallCredentials | undefined;
}

/** Starts a call, at once or when its credentials are there; it ends if there are none in time. */
export function startCall(call: CallStart): void {
  const { sealed, host, metadata } = call;
  if (sealed.isCancelled) {
    sealed.start(NOTHING, false);
    return;
  }
  host.onMetadata?.(metadata);
  const credentials = combineCredentials(host.callCredentials, call.credentials);
  if (credentials === undefined) begin(call, metadata);
  else void beginWith(call, credentials);
}

/** Ends a call here, also one that has not begun. */
export function endCall(sealed: SealedCall, code: Code, details: string): void {
  sealed.cancel(code, details);
  sealed.start(NOTHING, false);
}

function begin({ sealed, host }: CallStart, metadata: Metadata): void {
  let entries;
  try {
    entries = requestEntries(metadata, host.userAgent);
  } catch (error) {
    endCall(sealed, Code.INTERNAL, (error as Error).message);
    return;
  }
  sealed.start(entries, metadata.getOptions().waitForReady === true);
}

async function beginWith(call: CallStart, credentials: CallCredentials): Promise<void> {
  const { sealed, method, authority, metadata } = call;
  const leftMs = call.deadlineMs - performance.now();
  const timer =
    leftMs > MAX_TIMER_MS
      ? undefined
      : setTimeout(() => endCall(sealed, Code.DEADLINE_EXCEEDED, "Deadline exceeded"), leftMs);
  try {
    begin(call, await withCredentials(metadata, credentials, method, authority));
  } catch (error) {
    if (!(error instanceof CredentialsFailure)) throw error;
    endCall(sealed, error.code, error.message);
  } finally {
    clearTimeout(timer);
  }
}
