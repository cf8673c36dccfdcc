/**
 * Evidence that AWS hardware signed, from a folder that a clone does not have: `SEALRPC_FIXTURES`,
 * or `../shared/fixtures/attestation` beside the repository.
 */
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const repository = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "..");
const folder =
  process.env["SEALRPC_FIXTURES"] ?? join(repository, "..", "shared", "fixtures", "attestation");

export interface GenuineEvidence {
  readonly name: string;
  readonly file: string;
  readonly kind: "enclave" | "enclave-debug" | "nitrotpm";
  /** When every certificate of it was valid. */
  readonly valid_at_ms: number;
  readonly leaf_not_before: string;
  readonly leaf_not_after: string;
  readonly region: string;
  /** Byte fields in hexadecimal digits. */
  readonly expected: {
    readonly module_id: string;
    readonly timestamp_ms: number;
    readonly pcrs: Readonly<Record<string, string>>;
    readonly public_key: string | null;
    readonly user_data: string | null;
    readonly nonce: string | null;
    readonly cabundle_count: number;
    readonly certificate_sha256: string;
  };
  readonly bytes: Uint8Array;
  readonly path: string;
}

/** What a skipped test says, or false where the evidence is there. */
export const genuineEvidenceIsAbsent: string | false = existsSync(join(folder, "manifest.json"))
  ? false
  : `no genuine evidence at ${folder}`;

/** All of it, or nothing where the folder is absent. */
export const genuineEvidence: readonly GenuineEvidence[] =
  genuineEvidenceIsAbsent === false ? read() : [];

function read(): GenuineEvidence[] {
  const manifest = JSON.parse(readFileSync(join(folder, "manifest.json"), "utf8")) as {
    documents: Omit<GenuineEvidence, "bytes" | "path">[];
  };
  return manifest.documents.map((entry) => {
    const path = join(folder, entry.file);
    return { ...entry, path, bytes: new Uint8Array(readFileSync(path)) };
  });
}
