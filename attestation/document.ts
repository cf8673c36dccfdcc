/**
 * The payload of evidence (docs/protocol.md §A.4): the attestation document of the Nitro Security
 * Module, with the names of AWS's description (aws-nitro-enclaves-nsm-api,
 * docs/attestation_process.md). Where that contradicts itself, genuine documents decide: an optional
 * field may be absent, null or empty and holds up to 1024 bytes.
 */

import { decodeCbor } from "./cbor.ts";
import { AttestationError } from "./errors.ts";

/** A document that is well formed, and nothing more: not a signature was verified yet. */
export interface AttestationDocument {
  /** The enclave's name: `i-…-enc…`. */
  readonly module_id: string;
  readonly digest: "SHA384";
  /** Milliseconds since the epoch, by the module's clock. */
  readonly timestamp: number;
  /** Index, 0 to 31, to 48 bytes. 0 is always there. */
  readonly pcrs: ReadonlyMap<number, Uint8Array>;
  /** DER of the certificate whose key signed the document. */
  readonly certificate: Uint8Array;
  /** DER of the chain above it, the root first. */
  readonly cabundle: readonly Uint8Array[];
  readonly public_key: Uint8Array | undefined;
  readonly user_data: Uint8Array | undefined;
  readonly nonce: Uint8Array | undefined;
}

const maxFieldBytes = 1024;
const maxCertificateBytes = 1024;
const maxCabundleItems = 8;
const maxModuleIdLength = 256;
const pcrCount = 32;
const pcrBytes = 48;

const knownKeys: ReadonlySet<unknown> = new Set<keyof AttestationDocument>([
  "module_id",
  "digest",
  "timestamp",
  "pcrs",
  "certificate",
  "cabundle",
  "public_key",
  "user_data",
  "nonce",
]);

/**
 * Reads the payload of an envelope. The byte fields are copies.
 *
 * @throws AttestationError `malformed-evidence`; `not-an-enclave` for the document of a NitroTPM,
 * which the same root signs.
 */
export function parseDocument(payload: Uint8Array): AttestationDocument {
  const fields = decodeCbor(payload, { code: "malformed-evidence", indefiniteOuterMap: true });
  if (!(fields instanceof Map)) return refuse("payload", "a map");
  if (fields.has("nitrotpm_pcrs")) {
    throw new AttestationError(
      "not-an-enclave",
      "expected the document of an enclave, received one of a NitroTPM (nitrotpm_pcrs)",
    );
  }
  for (const key of fields.keys()) {
    if (!knownKeys.has(key)) refuse("payload", "the nine known keys", "another key");
  }
  return {
    module_id: parseModuleId(fields.get("module_id")),
    digest: fields.get("digest") === "SHA384" ? "SHA384" : refuse("digest", '"SHA384"'),
    timestamp: parseTimestamp(fields.get("timestamp")),
    pcrs: parsePcrs(fields.get("pcrs")),
    certificate: parseCertificate(fields.get("certificate"), "certificate"),
    cabundle: parseCabundle(fields.get("cabundle")),
    public_key: parseOptional(fields.get("public_key"), "public_key"),
    user_data: parseOptional(fields.get("user_data"), "user_data"),
    nonce: parseOptional(fields.get("nonce"), "nonce"),
  };
}

function parseModuleId(value: unknown): string {
  if (typeof value !== "string" || value.length === 0 || value.length > maxModuleIdLength) {
    refuse("module_id", `text of 1 to ${maxModuleIdLength} characters`);
  }
  return value;
}

function parseTimestamp(value: unknown): number {
  // Eight-byte integers arrive as bigint. Invariant: the scanner refused those beyond 2^53 - 1.
  const timestamp = typeof value === "bigint" ? Number(value) : value;
  if (typeof timestamp !== "number" || !Number.isSafeInteger(timestamp) || timestamp < 1) {
    refuse("timestamp", "milliseconds, 1 to 2^53 - 1");
  }
  return timestamp;
}

function parsePcrs(value: unknown): ReadonlyMap<number, Uint8Array> {
  if (!(value instanceof Map)) return refuse("pcrs", "a map of registers");
  const pcrs = new Map<number, Uint8Array>();
  for (const [index, pcr] of value as ReadonlyMap<unknown, unknown>) {
    if (typeof index !== "number" || !(index >= 0 && index < pcrCount)) {
      refuse("pcrs", `indices 0 to ${pcrCount - 1}`);
    }
    if (!(pcr instanceof Uint8Array) || pcr.length !== pcrBytes) {
      refuse(`PCR${index}`, `${pcrBytes} bytes`, sizeOf(pcr));
    }
    pcrs.set(index, new Uint8Array(pcr));
  }
  if (!pcrs.has(0)) refuse("pcrs", "PCR0 among them");
  return pcrs;
}

function parseCabundle(value: unknown): readonly Uint8Array[] {
  if (!Array.isArray(value) || value.length === 0 || value.length > maxCabundleItems) {
    return refuse("cabundle", `an array of 1 to ${maxCabundleItems} certificates`);
  }
  return value.map((item: unknown, i) => parseCertificate(item, `cabundle[${i}]`));
}

function parseCertificate(value: unknown, name: string): Uint8Array {
  if (!(value instanceof Uint8Array) || value.length === 0 || value.length > maxCertificateBytes) {
    refuse(name, `1 to ${maxCertificateBytes} bytes`, sizeOf(value));
  }
  return new Uint8Array(value);
}

function parseOptional(value: unknown, name: string): Uint8Array | undefined {
  if (value === undefined || value === null) return undefined;
  if (!(value instanceof Uint8Array) || value.length > maxFieldBytes) {
    refuse(name, `null or up to ${maxFieldBytes} bytes`, sizeOf(value));
  }
  return new Uint8Array(value);
}

function sizeOf(value: unknown): string {
  return value instanceof Uint8Array ? `${value.length} bytes` : "something else";
}

function refuse(field: string, expected: string, received = "something else"): never {
  throw new AttestationError(
    "malformed-evidence",
    `${field}: expected ${expected}, received ${received}`,
  );
}
