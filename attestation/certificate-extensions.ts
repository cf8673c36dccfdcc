/** Extensions of certificates (RFC 5280 §4.2): two are read, the others may not matter. */

import { encodeHex } from "./bytes.ts";
import { type DerElement, derTag, DerReader, readTrue, readUnsignedInteger } from "./der.ts";

/** What a certificate may be used for. A part is undefined where the extension is absent. */
export interface CertificateExtensions {
  readonly basicConstraints: BasicConstraints | undefined;
  readonly keyUsage: KeyUsage | undefined;
}

interface BasicConstraints {
  readonly critical: boolean;
  readonly ca: boolean;
  /** How many CA certificates may stand between this one and the leaf; undefined: any number. */
  readonly pathLen: number | undefined;
}

interface KeyUsage {
  readonly digitalSignature: boolean;
  readonly keyCertSign: boolean;
}

const oids = { keyUsage: "551d0f", basicConstraints: "551d13", nameConstraints: "551d1e" } as const;

/**
 * Reads the extensions field; none at all is the same as an empty result.
 *
 * An extension that is critical and not one of the two is refused, as is any nameConstraints, which
 * would have to be honoured. Others (key identifiers, CRL distribution points) are passed over.
 */
export function parseExtensions(
  field: DerElement | undefined,
  where: string,
): CertificateExtensions {
  let basicConstraints: BasicConstraints | undefined;
  let keyUsage: KeyUsage | undefined;
  if (field !== undefined) {
    const wrapper = new DerReader(field.content, where);
    const extensions = wrapper.enter(derTag.sequence);
    wrapper.end();
    const seen = new Set<string>();
    do {
      const extension = extensions.enter(derTag.sequence);
      const oid = encodeHex(extension.read(derTag.objectIdentifier).content);
      const critical = readTrue(extension);
      const value = extension.enter(derTag.octetString);
      extension.end();
      if (seen.has(oid)) extensions.refuse(`extension ${oid} that was there before`);
      seen.add(oid);
      if (oid === oids.basicConstraints) basicConstraints = parseBasicConstraints(value, critical);
      else if (oid === oids.keyUsage) keyUsage = parseKeyUsage(value);
      else if (critical || oid === oids.nameConstraints) {
        extensions.refuse(`extension ${oid}${critical ? ", critical," : ""} is not supported`);
      }
    } while (!extensions.isAtEnd);
  }
  return { basicConstraints, keyUsage };
}

function parseBasicConstraints(value: DerReader, critical: boolean): BasicConstraints {
  const fields = value.enter(derTag.sequence);
  value.end();
  const ca = readTrue(fields);
  let pathLen: number | undefined;
  if (!fields.isAtEnd) {
    const bytes = readUnsignedInteger(fields);
    if (bytes.length > 1) fields.refuse("expected a pathLenConstraint below 256");
    pathLen = bytes[0];
  }
  fields.end();
  return { critical, ca, pathLen };
}

function parseKeyUsage(value: DerReader): KeyUsage {
  const { content } = value.read(derTag.bitString);
  value.end();
  // Bit 0 is the highest bit of the first byte; digitalSignature is bit 0, keyCertSign bit 5.
  const [unused, first, second] = content;
  if (unused === undefined || first === undefined || content.length > 3 || unused > 7) {
    return value.refuse("expected keyUsage as a BIT STRING of 1 to 9 bits");
  }
  const last = second ?? first;
  // DER drops the zero bits at the end of a named bit list (X.690 §11.2.2).
  if ((last & ((1 << unused) - 1)) !== 0 || (last & (1 << unused)) === 0) {
    value.refuse("expected keyUsage without zero bits at its end");
  }
  return { digitalSignature: (first & 0x80) !== 0, keyCertSign: (first & 0x04) !== 0 };
}
