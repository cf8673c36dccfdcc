/** The bounds of a session's terms, at both ends (docs/protocol.md §3, §11). */
import type { SessionTerms } from "./established.ts";

/** Most credit that can be granted. */
export const MAX_CREDIT: number = 2 ** 31 - 1;

const MAX_U32 = 2 ** 32 - 1;
const MOST: Readonly<Record<keyof SessionTerms, number>> = {
  maxAgeMs: 10_800_000,
  maxIdleMs: 600_000,
  maxConcurrentCalls: MAX_U32,
  maxDelayMs: MAX_U32,
  initialCredit: MAX_CREDIT,
};

/**
 * Checks terms that an enclave is to announce.
 *
 * @throws RangeError for a term that is not an integer, is 0, or is more than an enclave may announce.
 */
export function checkTerms(terms: SessionTerms): void {
  for (const name of Object.keys(MOST) as (keyof SessionTerms)[]) {
    const value = terms[name];
    if (!Number.isInteger(value) || value < 1 || value > MOST[name]) {
      throw new RangeError(`${name} is 1 to ${MOST[name]}, not ${value}`);
    }
  }
}

/** What a client uses of the terms that an enclave announced. */
export function usedTerms(announced: SessionTerms): SessionTerms {
  const { maxAgeMs, maxIdleMs, maxConcurrentCalls, maxDelayMs, initialCredit } = announced;
  return {
    maxAgeMs: Math.min(maxAgeMs, MOST.maxAgeMs),
    maxIdleMs: Math.min(maxIdleMs, MOST.maxIdleMs),
    maxConcurrentCalls,
    maxDelayMs,
    initialCredit,
  };
}
