/**
 * The one shape of X.509 certificate that endorses an enclave (RFC 5280; docs/protocol.md §A.5):
 * version 3, a P-384 key, signed with ecdsa-with-SHA384. Whatever else a certificate can be is refused, not skipped.
 */

import { encodeHex } from "./bytes.ts";
import { type CertificateExtensions, parseExtensions } from "./certificate-extensions.ts";
import { readTime } from "./certificate-time.ts";
import { type DerElement, derTag, DerReader, readPositiveInteger } from "./der.ts";
import { type DistinguishedName, parseName } from "./distinguished-name.ts";
import { isPoint, isScalar } from "./p384.ts";

/** A certificate that is well formed. Neither its signature nor its place in a chain is verified. */
export interface Certificate extends CertificateExtensions {
  /** The name of the certificate in errors. */
  readonly where: string;
  /** The whole certificate in DER. */
  readonly encoding: Uint8Array;
  /** tbsCertificate in DER: the bytes that the issuer signed. */
  readonly signedBytes: Uint8Array;
  /** Big endian, without a sign byte. */
  readonly serialNumber: Uint8Array;
  readonly issuer: DistinguishedName;
  readonly subject: DistinguishedName;
  /** Both ends belong to the validity. */
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** Uncompressed point on P-384, 97 bytes. */
  readonly publicKey: Uint8Array;
  /** r ‖ s, 48 bytes each. */
  readonly signature: Uint8Array;
}

/** AlgorithmIdentifier of ecdsa-with-SHA384, without parameters (RFC 5758 §3.2), in hexadecimal. */
const signatureAlgorithm = "300a06082a8648ce3d040303";

/** SubjectPublicKeyInfo up to the point: id-ecPublicKey, named curve secp384r1, no unused bits. */
const publicKeyPrefix = "3076301006072a8648ce3d020106052b81040022036200";

const maxSerialNumberBytes = 20;

/**
 * Reads a certificate in DER. The parts are views on `encoding`.
 *
 * @throws AttestationError `untrusted-chain`, which calls the certificate `where`.
 */
export function parseCertificate(encoding: Uint8Array, where: string): Certificate {
  const outer = new DerReader(encoding, where);
  const certificate = outer.enter(derTag.sequence);
  outer.end();
  const toBeSigned = certificate.read(derTag.sequence);
  const outerAlgorithm = certificate.read(derTag.sequence);
  const signature = certificate.read(derTag.bitString);
  certificate.end();

  const fields = new DerReader(toBeSigned.content, where);
  parseVersion(fields);
  const serialNumber = readPositiveInteger(fields);
  if (serialNumber.length > maxSerialNumberBytes) fields.refuse("serial number beyond 20 bytes");
  for (const algorithm of [fields.read(derTag.sequence), outerAlgorithm]) {
    if (encodeHex(algorithm.encoding) !== signatureAlgorithm) {
      fields.refuse("expected the signature algorithm ecdsa-with-SHA384, received another");
    }
  }
  const issuer = parseName(fields.read(derTag.sequence), where);
  const validity = fields.enter(derTag.sequence);
  const notBeforeMs = readTime(validity);
  const notAfterMs = readTime(validity);
  validity.end();
  const subject = parseName(fields.read(derTag.sequence), where);
  const publicKey = parsePublicKey(fields.read(derTag.sequence), fields);
  const extensions = parseExtensions(fields.optional(derTag.explicit3), where);
  fields.end();

  return {
    where,
    encoding,
    signedBytes: toBeSigned.encoding,
    serialNumber,
    issuer,
    subject,
    notBeforeMs,
    notAfterMs,
    publicKey,
    signature: parseSignature(signature, where),
    ...extensions,
  };
}

function parseVersion(fields: DerReader): void {
  const version = fields.enter(derTag.explicit0);
  const { content } = version.read(derTag.integer);
  version.end();
  if (content.length !== 1 || content[0] !== 2) version.refuse("expected version 3");
}

function parsePublicKey({ encoding }: DerElement, fields: DerReader): Uint8Array {
  const prefixBytes = publicKeyPrefix.length / 2;
  const point = encoding.subarray(prefixBytes);
  if (encodeHex(encoding.subarray(0, prefixBytes)) !== publicKeyPrefix) {
    fields.refuse("expected a P-384 key of a named curve, received another");
  }
  if (!isPoint(point)) fields.refuse("expected an uncompressed point on P-384, received another");
  return point;
}

/** Turns the DER form of an ECDSA signature (RFC 3279 §2.2.3) into r ‖ s. */
function parseSignature({ content }: DerElement, where: string): Uint8Array {
  const bits = new DerReader(content.subarray(1), where);
  if (content[0] !== 0) bits.refuse("expected a signature without unused bits");
  const pair = bits.enter(derTag.sequence);
  bits.end();
  const signature = new Uint8Array(96);
  for (const end of [48, 96]) {
    const integer = readPositiveInteger(pair);
    if (integer.length > 48) pair.refuse("expected a signature of 96 bytes");
    signature.set(integer, end - integer.length);
  }
  pair.end();
  if (!isScalar(signature.subarray(0, 48)) || !isScalar(signature.subarray(48))) {
    pair.refuse("expected r and s from 1 to n - 1");
  }
  return signature;
}
