/** What the notary's publisher does once for each release, away from the host. */
import { generateKeyPairSync } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { PolicyOptions } from "sealrpc";
import { signReleaseManifest } from "sealrpc/attestation";

const SERVICE = "notary.example.com";
const DAY_MS = 86_400_000;

/** The files that `publishRelease` leaves. */
export const publishedFiles: readonly string[] = [
  "notary.manifest",
  "signer.pub",
  "client-policy.json",
];

/**
 * Signs a manifest in which the image that `enclavePolicy` describes is the current release, and
 * gives the name of a policy for clients: manifest and key, no measurements.
 */
export async function publishRelease(folder: string, enclavePolicy: string): Promise<string> {
  const { referenceValues = [], insecureTestRoot } = JSON.parse(
    readFileSync(enclavePolicy, "utf8"),
  ) as PolicyOptions;
  const { privateKey, publicKey } = generateKeyPairSync("ec", {
    namedCurve: "P-384",
    privateKeyEncoding: { format: "pem", type: "pkcs8" },
    publicKeyEncoding: { format: "pem", type: "spki" },
  });
  const issuedAtMs = Date.now();
  const manifest = await signReleaseManifest(
    {
      service: SERVICE,
      sequence: 1,
      issuedAtMs,
      expiresAtMs: issuedAtMs + DAY_MS,
      releases: [{ version: "1.0.0", status: "current", referenceValues }],
    },
    privateKey,
  );
  const policy = {
    releaseManifest: {
      service: SERVICE,
      manifestFile: "notary.manifest",
      signerKeyFile: "signer.pub",
    },
    insecureTestRoot,
  };
  const [manifestFile = "", keyFile = "", policyFile = ""] = publishedFiles.map((name) =>
    join(folder, name),
  );
  writeFileSync(manifestFile, `${manifest}\n`);
  writeFileSync(keyFile, publicKey);
  writeFileSync(policyFile, `${JSON.stringify(policy, null, 2)}\n`);
  return policyFile;
}
