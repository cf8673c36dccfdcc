/** Appraisal: what a verified document says, against what the policy and the caller demand. */

import { encodeHex, equalBytes, excerptHex, isAllZero } from "./bytes.ts";
import type { AttestationDocument } from "./document.ts";
import { AttestationError } from "./errors.ts";
import type { Policy } from "./policy.ts";
import type { PinnableRegister, ReferenceSet } from "./reference-values.ts";

/** The registers that are zero in a debug enclave whatever the image is. */
const imageRegisters: readonly number[] = [0, 1, 2, 8];
const maxSetsInMessage = 4;

/**
 * Whether the host can read the enclave. The module then reports zero for the image's registers;
 * others, PCR4 for one, keep their values, so it takes only one of these.
 */
export function isDebug(pcrs: ReadonlyMap<number, Uint8Array>): boolean {
  return [0, 1, 2].some((register) => {
    const pcr = pcrs.get(register);
    return pcr !== undefined && isAllZero(pcr);
  });
}

/** @throws AttestationError `debug-enclave`, unless the policy admits debug enclaves. */
export function appraiseDebug({ pcrs }: AttestationDocument, policy: Policy): void {
  if (isDebug(pcrs) && !policy.insecureAllowDebug) {
    throw new AttestationError(
      "debug-enclave",
      "expected a measured image, received PCR0, 1 or 2 all zero: the host can read this enclave",
    );
  }
}

/**
 * Compares the measurements with each set of the policy. A debug enclave that the policy admits is
 * compared by what is left of it, PCR3 and PCR4.
 *
 * @throws AttestationError `measurement-mismatch`, which shows the set that comes nearest.
 */
export function appraiseMeasurements({ pcrs }: AttestationDocument, policy: Policy): void {
  const skipped = isDebug(pcrs) ? imageRegisters : [];
  const differences = policy.referenceValues.map((set, number) => ({
    number,
    registers: differingRegisters(set, pcrs).filter((register) => !skipped.includes(register)),
    set,
  }));
  if (differences.length === 0 || differences.some(({ registers }) => registers.length === 0)) {
    return;
  }
  differences.sort((a, b) => a.registers.length - b.registers.length);
  const texts = differences.slice(0, maxSetsInMessage).map(({ number, registers, set }, rank) => {
    const where = `referenceValues[${number}]`;
    if (rank > 0) return `${where}: PCR${registers.join(", PCR")} differ`;
    const details = registers.map(
      (register) =>
        `PCR${register} expected ${set.get(register)}, received ${hexOf(pcrs.get(register))}`,
    );
    return `${where}: ${details.join("; ")}`;
  });
  const omitted = differences.length - texts.length;
  if (omitted > 0) texts.push(`${omitted} more sets differ`);
  throw new AttestationError("measurement-mismatch", texts.join(". "));
}

/** @throws AttestationError `challenge-mismatch`, unless the document's nonce is the challenge. */
export function appraiseChallenge({ nonce }: AttestationDocument, challenge: Uint8Array): void {
  if (nonce === undefined || !equalBytes(nonce, challenge)) {
    throw new AttestationError(
      "challenge-mismatch",
      `nonce: expected ${excerptHex(challenge)}, received ${excerptHex(nonce)}`,
    );
  }
}

/** @throws AttestationError `stale-evidence`: too old, or further ahead than clocks differ. */
export function appraiseAge(
  { timestamp }: AttestationDocument,
  policy: Policy,
  nowMs: number,
): void {
  const ageMs = nowMs - timestamp;
  if (ageMs > policy.maxAgeMs) {
    throw new AttestationError(
      "stale-evidence",
      `expected an age of up to ${policy.maxAgeMs} ms, received ${ageMs} ms`,
    );
  }
  if (-ageMs > policy.futureSkewMs) {
    throw new AttestationError(
      "stale-evidence",
      `expected a document at most ${policy.futureSkewMs} ms ahead of the clock, received ${-ageMs} ms`,
    );
  }
}

/** @throws AttestationError `binding-mismatch`, unless the document's user_data is what is expected. */
export function appraiseUserData({ user_data }: AttestationDocument, expected: Uint8Array): void {
  if (user_data === undefined || !equalBytes(user_data, expected)) {
    throw new AttestationError(
      "binding-mismatch",
      `user_data: expected ${excerptHex(expected)}, received ${excerptHex(user_data)}`,
    );
  }
}

function differingRegisters(
  set: ReferenceSet,
  pcrs: ReadonlyMap<number, Uint8Array>,
): readonly PinnableRegister[] {
  return [...set.keys()].filter((register) => set.get(register) !== hexOf(pcrs.get(register)));
}

function hexOf(pcr: Uint8Array | undefined): string {
  return pcr === undefined ? "none" : encodeHex(pcr);
}
