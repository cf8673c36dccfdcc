/**
 * What ties a document to one enclave on one instance (docs/protocol.md §A.8): its module_id, the
 * name in its leaf certificate, PCR4 and the time. Genuine documents have held to this for years; AWS does not
 * promise it, so a policy can switch it off.
 */

import type { CryptoBackend } from "../crypto/backend.ts";
import { encodeHex, equalBytes, excerptText } from "./bytes.ts";
import type { Certificate } from "./certificate.ts";
import type { AttestationDocument } from "./document.ts";
import { AttestationError } from "./errors.ts";

/** The names that a document and its leaf certificate agree on. */
export interface Instance {
  /** EC2's name of the host: `i-` and 17 hexadecimal digits. */
  readonly instanceId: string;
  /** AWS's name of the region, such as `eu-west-1`. */
  readonly region: string;
}

const moduleIdForm = /^(i-[0-9a-f]{17})-enc[0-9a-f]{16}$/;
const regionForm = /^[a-z0-9-]{1,32}$/;

/** The names of a document, or `undefined` where the two do not agree. */
export function instanceOf(
  { module_id }: AttestationDocument,
  leaf: Certificate,
): Instance | undefined {
  const instanceId = moduleIdForm.exec(module_id)?.[1];
  const name = leaf.subject.commonName ?? "";
  if (instanceId === undefined || !name.startsWith(`${module_id}.`)) return undefined;
  if (!name.endsWith(".aws")) return undefined;
  const region = name.slice(module_id.length + 1, -".aws".length);
  return regionForm.test(region) ? { instanceId, region } : undefined;
}

/**
 * Verifies the ties.
 *
 * @throws AttestationError `not-an-enclave` for a module_id of something else; `instance-mismatch`.
 */
export function verifyInstance(
  document: AttestationDocument,
  leaf: Certificate,
  backend: CryptoBackend,
): void {
  if (!moduleIdForm.test(document.module_id)) {
    throw new AttestationError(
      "not-an-enclave",
      `module_id: expected i-…-enc…, received ${excerptText(document.module_id)}`,
    );
  }
  const instance = instanceOf(document, leaf);
  if (instance === undefined) {
    const name = excerptText(leaf.subject.commonName ?? "");
    refuse(`certificate: expected the name ${document.module_id}.REGION.aws, received ${name}`);
  }
  // PCR4 = SHA-384(0^48 || instance ID)
  const id = new TextEncoder().encode(instance.instanceId);
  const extended = new Uint8Array(48 + id.length);
  extended.set(id, 48);
  const expected = backend.hash("sha384", extended);
  const pcr4 = document.pcrs.get(4);
  if (pcr4 === undefined || !equalBytes(pcr4, expected)) {
    const received = pcr4 === undefined ? "none" : encodeHex(pcr4);
    refuse(`PCR4: expected that of ${instance.instanceId}, received ${received}`);
  }
  if (document.timestamp < leaf.notBeforeMs || document.timestamp > leaf.notAfterMs) {
    refuse(
      `timestamp: expected one from ${leaf.notBeforeMs} to ${leaf.notAfterMs}, as the certificate, received ${document.timestamp}`,
    );
  }
}

function refuse(what: string): never {
  throw new AttestationError("instance-mismatch", what);
}
