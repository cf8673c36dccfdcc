/** Names in certificates (RFC 5280 §4.1.2.4): links compare them as bytes, so little is read. */

import { decodeUtf8, encodeHex } from "./bytes.ts";
import { type DerElement, derTag, DerReader } from "./der.ts";

/** A name, and the two attributes that the verifier looks at. */
export interface DistinguishedName {
  /** The whole Name in DER, to compare. */
  readonly encoding: Uint8Array;
  /** The text of the only commonName; undefined if there is none. */
  readonly commonName: string | undefined;
  /** The text of the only organizationName; undefined if there is none. */
  readonly organization: string | undefined;
}

const attributeOids = { commonName: "550403", organization: "55040a" } as const;

/** Reads a Name that is not empty. An attribute that is wanted may not be there twice. */
export function parseName(element: DerElement, where: string): DistinguishedName {
  const name = new DerReader(element.content, where);
  const texts = new Map<string, string>();
  if (name.isAtEnd) name.refuse("expected a name, received an empty one");
  while (!name.isAtEnd) {
    const attributes = name.enter(derTag.set);
    do {
      const attribute = attributes.enter(derTag.sequence);
      const oid = encodeHex(attribute.read(derTag.objectIdentifier).content);
      if (oid === attributeOids.commonName || oid === attributeOids.organization) {
        if (texts.has(oid)) name.refuse("attribute that was there before");
        texts.set(oid, parseText(attribute));
      } else {
        attribute.readAny();
      }
      attribute.end();
    } while (!attributes.isAtEnd);
  }
  return {
    encoding: element.encoding,
    commonName: texts.get(attributeOids.commonName),
    organization: texts.get(attributeOids.organization),
  };
}

function parseText(reader: DerReader): string {
  const { content } = reader.read(derTag.utf8String, derTag.printableString);
  return decodeUtf8(content) ?? reader.refuse("text that is not UTF-8");
}
