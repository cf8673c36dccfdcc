/**
 * Appraisal (docs/protocol.md §A.9): what a verified document says, against what the policy and the
 * caller demand.
 */

import { encodeHex, equalBytes, excerptHex, isAllZero } from "./bytes.ts";
import type { AttestationDocument } from "./document.ts";
import { AttestationError } from "./errors.ts";
import type { Policy } from "./policy.ts";
import { pinnableRegisters, type ReferenceValues } from "./reference-values.ts";
import { requireUnexpired } from "./manifest-content.ts";

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

/** @throws AttestationError `manifest-expired`, once the manifest that the policy is made of has. */
export function appraiseManifest({ manifest }: Policy, nowMs: number): void {
  if (manifest !== undefined) requireUnexpired(manifest, nowMs);
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
 * @throws AttestationError `release-revoked`, `release-not-current`: a release of the manifest that
 * the policy does not admit. `measurement-mismatch`, which shows the set that comes nearest.
 */
export function appraiseMeasurements({ pcrs }: AttestationDocument, policy: Policy): void {
  const skipped = isDebug(pcrs) ? imageRegisters : [];
  const sets = policy.referenceValues.map((set, i) => ({
    where: `referenceValues[${i}]`,
    differences: differencesOf(set, pcrs).filter(({ register }) => !skipped.includes(register)),
  }));
  if (sets.length === 0 || sets.some(({ differences }) => differences.length === 0)) return;
  refuseKnownRelease(pcrs, policy);
  sets.sort((a, b) => a.differences.length - b.differences.length);
  const texts = sets.slice(0, maxSetsInMessage).map(({ where, differences }, rank) => {
    const details = differences.map(({ register, expected, received }) =>
      rank === 0
        ? `PCR${register} expected ${expected}, received ${received}`
        : `PCR${register} differs`,
    );
    return `${where}: ${details.join("; ")}`;
  });
  if (sets.length > texts.length) texts.push(`${sets.length - texts.length} more sets differ`);
  throw new AttestationError("measurement-mismatch", texts.join(". "));
}

/** Tells a release that is not admitted from an image that is none. */
function refuseKnownRelease(pcrs: ReadonlyMap<number, Uint8Array>, policy: Policy): void {
  const digits = [...pcrs].map(([register, pcr]) => [register, encodeHex(pcr)] as const);
  const release = policy.releaseOf({ pcrs: Object.fromEntries(digits) });
  if (release?.status === "revoked") {
    throw new AttestationError("release-revoked", `release ${release.version} is revoked`);
  }
  if (release?.status === "supported" && policy.accept !== "supported") {
    const current = policy.manifest?.releases.find(({ status }) => status === "current");
    throw new AttestationError(
      "release-not-current",
      `expected release ${current?.version}, received ${release.version}, which is supported but was not asked for`,
    );
  }
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

/** @throws AttestationError `binding-mismatch` for a public_key of another length. */
export function appraisePublicKey({ public_key }: AttestationDocument, bytes: number): void {
  const length = public_key?.length ?? 0;
  if (length !== bytes) {
    throw new AttestationError(
      "binding-mismatch",
      `public_key: expected ${bytes} bytes, received ${length}`,
    );
  }
}

interface Difference {
  readonly register: number;
  readonly expected: string;
  readonly received: string;
}

function differencesOf(
  set: ReferenceValues,
  pcrs: ReadonlyMap<number, Uint8Array>,
): readonly Difference[] {
  return [...pinnableRegisters].flatMap(([key, register]) => {
    const expected = set[key];
    const pcr = pcrs.get(register);
    const received = pcr === undefined ? "none" : encodeHex(pcr);
    return expected === undefined || expected === received
      ? []
      : [{ register, expected, received }];
  });
}
