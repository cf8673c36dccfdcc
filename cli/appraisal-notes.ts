/** What a reader of a verdict on a live enclave must know besides it. */
import { pinnableRegisters } from "../attestation/reference-values.ts";
import type { Policy, VerifiedEvidence } from "../services/client/index.ts";
import type { StatedPolicy } from "./policy-file.ts";

/** Said of evidence that no image was compared with. */
export const NOT_COMPARED =
  "MEASUREMENTS NOT COMPARED (--policy): any image of any owner would pass";

/** The registers of the set of reference values that the evidence matches. */
export function comparedRegisters(
  policy: Policy,
  { claims }: VerifiedEvidence,
): ReadonlySet<number> {
  const registers = [...pinnableRegisters];
  const matching = policy.referenceValues.find((set) =>
    registers.every(([key, register]) => [undefined, claims.pcrs[register]].includes(set[key])),
  );
  return new Set(
    registers.filter(([key]) => matching?.[key] !== undefined).map(([, register]) => register),
  );
}

/** One sentence for each thing that weakens what was verified. */
export function appraisalNotes(
  { policy, options }: StatedPolicy,
  evidence: VerifiedEvidence,
): readonly string[] {
  return [
    ...(evidence.claims.debug
      ? ["DEBUG ENCLAVE: its host can read it, and its image is not measured"]
      : []),
    ...(options.insecureTestRoot === undefined
      ? []
      : ["SIMULATED, or at least NOT AWS'S ROOT: whoever made it can make any evidence"]),
    ...(comparedRegisters(policy, evidence).has(0) ? [] : [NOT_COMPARED]),
  ];
}
