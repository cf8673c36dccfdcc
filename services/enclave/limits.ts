/** The bounds of a server, and what it announces of them in its sessions' terms. */
import type { SessionTerms } from "../../channel/established.ts";
import { checkTerms } from "../../channel/session-terms.ts";
import { isVsockCid } from "../../transport/address.ts";
import { completeLimits } from "../complete-limits.ts";

/** Each a positive integer; {@link DEFAULT_LIMITS} has the defaults. */
export interface EnclaveLimits {
  /** Sessions at once. */
  readonly maxSessions: number;
  /** Handshakes between Hello and Finish. */
  readonly maxUnfinishedHandshakes: number;
  /** From the start of a stream to its Finish; half of it is for the evidence. */
  readonly handshakeTimeoutMs: number;
  /** What all sessions together keep for their calls. */
  readonly maxBufferedBytes: number;
  /** Calls at once in one session. */
  readonly maxConcurrentCalls: number;
  /** A call that was on its way for longer does not start. */
  readonly maxDelayMs: number;
  /** A session is replaced before; at most 3 h. */
  readonly maxAgeMs: number;
  /** A session without calls ends after; at most 10 min. */
  readonly maxIdleMs: number;
  /** Request bytes that a client may send ahead in one call. */
  readonly initialCredit: number;
}

/** What applies unless the options say otherwise. */
export const DEFAULT_LIMITS: EnclaveLimits = {
  maxSessions: 4096,
  maxUnfinishedHandshakes: 4096,
  handshakeTimeoutMs: 10_000,
  maxBufferedBytes: 64 * 1024 * 1024,
  maxConcurrentCalls: 1024,
  maxDelayMs: 30_000,
  maxAgeMs: 3_600_000,
  maxIdleMs: 600_000,
  initialCredit: 256 * 1024,
};

/**
 * Fills a set of limits up with the defaults.
 *
 * @throws RangeError when one is no positive integer, or more than a session may have.
 */
export function enclaveLimits(given?: Partial<EnclaveLimits>): EnclaveLimits {
  const limits = completeLimits(DEFAULT_LIMITS, given);
  checkTerms(termsOf(limits));
  return limits;
}

/** What a client is told of the limits when its session begins. */
export function termsOf(limits: EnclaveLimits): SessionTerms {
  const { maxAgeMs, maxIdleMs, maxConcurrentCalls, maxDelayMs, initialCredit } = limits;
  return { maxAgeMs, maxIdleMs, maxConcurrentCalls, maxDelayMs, initialCredit };
}

/** @throws RangeError when a limit for messages is neither a number of bytes nor -1, which is none. */
export function requireMessageLimit(name: string, bytes: number): void {
  if (!Number.isSafeInteger(bytes) || bytes < -1) {
    throw new RangeError(`${name} is ${bytes}, expected a number of bytes or -1`);
  }
}

/** @throws RangeError for peers that cannot be meant: none at all, or what is no CID of VSOCK. */
export function requirePeers(cids: readonly number[] | undefined): void {
  if (cids === undefined) return;
  if (cids.length === 0 || !cids.every(isVsockCid)) {
    throw new RangeError(`vsockPeers is [${cids.join(", ")}], expected CIDs of VSOCK`);
  }
}
