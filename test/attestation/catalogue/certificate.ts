/** Group ch, second part: certificates of another form. */
import * as x509 from "@peculiar/asn1-x509";
import { certificateBytes, part, tbsBytes } from "../../support/certificate-surgery.ts";
import { hex, join } from "../../support/raw-cbor.ts";
import { children, contentOf, der, SEQUENCE, SET } from "../../support/raw-der.ts";
import {
  basicConstraints,
  type Edit,
  extension,
  keyUsage,
  unknownExtension,
  withExtension,
} from "../../support/test-pki.ts";
import type { Attack } from "./attack.ts";
import { at, BOTH, under } from "./chain.ts";

const { digitalSignature, keyCertSign } = x509.KeyUsageFlags;
/** RFC 5280 §4.2.1.10: permits nothing but names under `example`. */
const nameConstraints = hex("300d a00b 3009 8207 6578616d706c65");

function append(...extensions: x509.Extension[]): Edit {
  return (template) => {
    template.extensions = [...(template.extensions ?? []), ...extensions];
  };
}

const unknown = (critical: boolean) => extension(unknownExtension, critical, hex("0500"));

const extensions: readonly Attack[] = [
  ...at(BOTH, "unknown-critical", append(unknown(true))),
  ...at(BOTH, "unknown-noncritical", append(unknown(false)), "accepted"),
  ...at(
    BOTH,
    "name-constraints-critical",
    append(extension(x509.id_ce_nameConstraints, true, nameConstraints)),
  ),
  ...at(
    BOTH,
    "name-constraints",
    append(extension(x509.id_ce_nameConstraints, false, nameConstraints)),
  ),
  ...at(BOTH, "unknown-twice", append(unknown(false), unknown(false))),
  under("ch-leaf-basic-constraints-twice", { leaf: append(basicConstraints({ cA: true })) }),
  under("ch-leaf-key-usage-twice", { leaf: append(keyUsage(keyCertSign)) }),
  under("ch-zonal-basic-constraints-twice", { zonal: append(basicConstraints({ cA: true })) }),
  under("ch-zonal-key-usage-twice", { zonal: append(keyUsage(digitalSignature)) }),
  ...at(BOTH, "extensions-empty", (template) => (template.extensions = [])),
  ...at(BOTH, "extensions-absent", (template) => (template.extensions = undefined)),
  ...at(
    BOTH,
    "with-a-key-identifier",
    append(extension(x509.id_ce_subjectKeyIdentifier, false, hex("0402aabb"))),
    "accepted",
  ),
  under("ch-zonal-basic-constraints-trailing-byte", {
    zonal: withExtension(
      extension(x509.id_ce_basicConstraints, true, hex("3006 0101ff 020101 00")),
    ),
  }),
  under("ch-zonal-basic-constraints-boolean-01", {
    zonal: withExtension(extension(x509.id_ce_basicConstraints, true, hex("3006 010101 020101"))),
  }),
  under("ch-zonal-basic-constraints-boolean-of-2-bytes", {
    zonal: withExtension(extension(x509.id_ce_basicConstraints, true, hex("3007 0102ff00 020101"))),
  }),
  under("ch-leaf-basic-constraints-explicit-false", {
    leaf: withExtension(extension(x509.id_ce_basicConstraints, true, hex("3003 010100"))),
  }),
  under("ch-leaf-key-usage-empty", {
    leaf: withExtension(extension(x509.id_ce_keyUsage, false, hex("030100"))),
  }),
  under("ch-leaf-key-usage-of-32-bits", {
    leaf: withExtension(extension(x509.id_ce_keyUsage, false, hex("0305 00 80010001"))),
  }),
  under("ch-leaf-key-usage-with-zero-bits-at-its-end", {
    leaf: withExtension(extension(x509.id_ce_keyUsage, false, hex("0302 00 c0"))),
  }),
  under("ch-leaf-key-usage-with-unused-bits-set", {
    leaf: withExtension(extension(x509.id_ce_keyUsage, false, hex("0302 06 c1"))),
  }),
  under("ch-leaf-key-usage-as-octets", {
    leaf: withExtension(extension(x509.id_ce_keyUsage, false, hex("0402 06c0"))),
  }),
  under("ch-leaf-key-usage-trailing-byte", {
    leaf: withExtension(extension(x509.id_ce_keyUsage, false, hex("030206c000"))),
  }),
];

const zeroByte = hex("00");

/** notBefore stays; notAfter is the given element. */
function until(tag: number, time: string): Edit {
  const notAfter = der(tag, new TextEncoder().encode(time));
  return part("validity", (validity) => der(SEQUENCE, children(validity)[0]!, notAfter));
}
const UTC = 0x17;
const GENERALIZED = 0x18;

/** Length of the outermost element in another form. */
function relength(element: Uint8Array, form: (length: number) => Uint8Array, end = ""): Uint8Array {
  const content = contentOf(element);
  return join(element.slice(0, 1), form(content.length), content, hex(end));
}

const encoding: readonly Attack[] = [
  ...at(
    BOTH,
    "trailing-byte",
    certificateBytes((certificate) => join(certificate, zeroByte)),
  ),
  ...at(
    BOTH,
    "trailing-element",
    certificateBytes((certificate) => der(SEQUENCE, contentOf(certificate), hex("0500"))),
  ),
  ...at(
    BOTH,
    "trailing-element-signed",
    tbsBytes((tbs) => der(SEQUENCE, contentOf(tbs), hex("0500"))),
  ),
  ...at(
    BOTH,
    "cut-short",
    certificateBytes((certificate) => certificate.slice(0, -1)),
  ),
  ...at(
    BOTH,
    "length-indefinite",
    certificateBytes((certificate) => relength(certificate, () => hex("80"), "0000")),
  ),
  ...at(
    BOTH,
    "length-long-form",
    certificateBytes((certificate) =>
      relength(certificate, (length) => Uint8Array.of(0x83, 0, length >> 8, length & 0xff)),
    ),
  ),
  ...at(
    BOTH,
    "length-beyond-memory",
    certificateBytes((certificate) => relength(certificate, () => hex("847fffffff"))),
  ),
  under("ch-leaf-pem", {
    leaf: certificateBytes((certificate) =>
      new TextEncoder().encode(Buffer.from(certificate).toString("base64")),
    ),
  }),
  ...at(BOTH, "version-1-with-extensions", (template) => (template.version = x509.Version.v1)),
  ...at(BOTH, "version-1", (template) => {
    template.version = x509.Version.v1;
    template.extensions = undefined;
  }),
  ...at(BOTH, "version-2", (template) => (template.version = x509.Version.v2)),
  ...at(
    BOTH,
    "version-4",
    part("version", () => hex("a003 020103")),
  ),
  ...at(
    BOTH,
    "version-513",
    part("version", () => hex("a004 02020200")),
  ),
  ...at(
    BOTH,
    "version-long-form",
    part("version", () => hex("a004 02020002")),
  ),
  ...at(
    BOTH,
    "version-trailing-byte",
    part("version", () => hex("a005 020102 0500")),
  ),
  ...at(
    BOTH,
    "serial-0",
    part("serial", () => hex("020100")),
  ),
  ...at(
    BOTH,
    "serial-negative",
    part("serial", () => hex("0201ff")),
  ),
  ...at(
    BOTH,
    "serial-long-form",
    part("serial", () => hex("02020001")),
  ),
  ...at(
    BOTH,
    "serial-length-long-form",
    part("serial", () => hex("028101 01")),
  ),
  ...at(
    BOTH,
    "serial-as-enumerated",
    part("serial", () => hex("0a0101")),
  ),
  ...at(
    BOTH,
    "outside-a-sequence",
    certificateBytes((certificate) => der(SET, contentOf(certificate))),
  ),
  ...at(
    BOTH,
    "subject-with-a-long-tag",
    part("subject", (subject) => {
      const [country, organization, unit, name] = children(subject);
      const [type] = children(children(unit!)[0]!);
      const value = hex("1f 02 4142");
      const strange = der(SET, der(SEQUENCE, type!, value));
      return der(SEQUENCE, country!, organization!, strange, name!);
    }),
  ),
  ...at(
    ["leaf"],
    "subject-with-two-names",
    part("subject", (subject) => {
      const parts = children(subject);
      return der(SEQUENCE, ...parts, parts.at(-1)!);
    }),
  ),
  ...at(
    BOTH,
    "serial-of-21-bytes",
    part("serial", () => der(0x02, new Uint8Array(21).fill(1))),
  ),
  ...at(
    BOTH,
    "issuer-empty",
    part("issuer", () => der(SEQUENCE)),
  ),
  ...at(BOTH, "two-digit-year-past-49", until(UTC, "560101000000Z"), "certificate-expired"),
  ...at(BOTH, "two-digit-year-49", until(UTC, "491231235959Z"), "accepted"),
  ...at(BOTH, "year-2050", until(GENERALIZED, "20500101000000Z"), "accepted"),
  ...at(BOTH, "generalized-time-before-2050", until(GENERALIZED, "20300101000000Z")),
  ...at(BOTH, "utc-time-without-seconds", until(UTC, "3001010000Z")),
  ...at(BOTH, "utc-time-with-offset", until(UTC, "300101000000+0000")),
  ...at(BOTH, "utc-time-without-zone", until(UTC, "300101000000")),
  ...at(BOTH, "utc-time-with-nul", until(UTC, "300101000000\0")),
  ...at(BOTH, "generalized-time-with-fraction", until(GENERALIZED, "20500101000000.5Z")),
  ...at(BOTH, "february-30", until(UTC, "300230000000Z")),
  ...at(BOTH, "hour-24", until(UTC, "300101240000Z")),
];

export const certificates: readonly Attack[] = [...extensions, ...encoding];
