/** One session (docs/protocol.md §7 to §11). */
import type { VerifiedEvidence } from "../attestation/verified-evidence.ts";
import type { CryptoBackend } from "../crypto/backend.ts";
import type { Call } from "./call.ts";
import type { ClientCallEvents, EnclaveCallEvents } from "./call-events.ts";
import type { Entry, RequestHeader } from "./call-message.ts";
import type { ChannelError } from "./errors.ts";
import type { Established } from "./established.ts";

export interface SessionEvents {
  onOutput(): void;
  onCall?(call: Call, header: RequestHeader): EnclaveCallEvents;
  onDraining?(): void;
  onClosed(error: ChannelError | undefined): void;
}

export interface SessionOptions {
  readonly role: "client" | "enclave";
  readonly backend: CryptoBackend;
  readonly established: Established;
  readonly padding?: "none" | "padme" | { readonly bucket: number };
  readonly maxReceiveMessageBytes?: number;
  readonly events: SessionEvents;
  readonly nowMs: number;
}

export interface OpenOptions {
  readonly method: string;
  readonly metadata: readonly Entry[];
  readonly deadlineMs?: number;
  readonly encoding?: string;
  readonly authority?: string;
}

export interface Session {
  readonly evidence: VerifiedEvidence | undefined;
  readonly openCalls: number;
  receive(record: Uint8Array, nowMs: number): void;
  receiveStreamEnd(nowMs: number, cause?: unknown): void;
  hasOutput(): boolean;
  takeRecord(nowMs: number): Uint8Array | undefined;
  nextDeadlineMs(): number;
  tick(nowMs: number): void;
  canOpen(nowMs: number): boolean;
  open(options: OpenOptions, events: ClientCallEvents): Call;
  goAway(nowMs: number): void;
  close(nowMs: number, graceMs: number): void;
  abort(): void;
  exporter(label: Uint8Array, context: Uint8Array, length: number): Uint8Array;
}
