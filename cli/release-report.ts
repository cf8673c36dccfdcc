/** What a release manifest says, of itself and of an enclave, for a reader and for a program. */
import type { Policy, ReleaseManifest, VerifiedEvidence } from "../attestation/index.ts";
import { formatTime } from "./evidence-report.ts";
import type { Row } from "./facts.ts";

/** The facts as rows. */
export function manifestRows(manifest: ReleaseManifest): Row[] {
  return [
    ["service", manifest.service],
    ["sequence", `${manifest.sequence}`],
    ["issued", formatTime(manifest.issuedAtMs)],
    ["expires", formatTime(manifest.expiresAtMs)],
    ...manifest.releases.flatMap(({ version, status, referenceValues }): Row[] => [
      ["", ""],
      ["release", `${version}  ${status}`],
      ...referenceValues.flatMap((set) =>
        Object.entries(set).map(([key, digits]): Row => [key.toUpperCase(), `${digits}`]),
      ),
    ]),
  ];
}

/** Which release an enclave is, where the policy has a manifest. */
export function releaseRows(policy: Policy, { claims }: VerifiedEvidence): Row[] {
  const release = policy.releaseOf(claims);
  const { service, sequence } = policy.manifest ?? {};
  return release === undefined
    ? []
    : [["release", `${service} ${release.version}, ${release.status} (manifest ${sequence})`]];
}

/** The same for a program. */
export function releaseFacts(policy: Policy, { claims }: VerifiedEvidence): object {
  const { manifest } = policy;
  if (manifest === undefined) return {};
  const { service, sequence } = manifest;
  const { version = null, status = null } = policy.releaseOf(claims) ?? {};
  return { release: { service, sequence, version, status } };
}
