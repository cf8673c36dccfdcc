/**
 * A certificate authority for tests, in the shape of AWS's: root, regional, zonal, instance, leaf.
 * Every part of a certificate can be changed before it is signed, its bytes before and after.
 */
import { generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto";
import { AsnConvert, OctetString } from "@peculiar/asn1-schema";
import * as x509 from "@peculiar/asn1-x509";
import { BIT_STRING, der, SEQUENCE } from "./raw-der.ts";

/** The moment at which the test documents are verified, unless a test says another. */
export const NOW: number = Date.UTC(2026, 0, 15, 12);

export const SECOND = 1000;
export const MINUTE: number = 60 * SECOND;
export const HOUR: number = 60 * MINUTE;
export const DAY: number = 24 * HOUR;

export type Level = "root" | "regional" | "zonal" | "instance" | "leaf";
/** From the top down. */
export const LEVELS: readonly Level[] = ["root", "regional", "zonal", "instance", "leaf"];
export const ecdsaWithSha256 = "1.2.840.10045.4.3.2";
export const ecdsaWithSha384 = "1.2.840.10045.4.3.3";
export const ecdsaWithSha512 = "1.2.840.10045.4.3.4";
export const sha384WithRsa = "1.2.840.113549.1.1.12";
/** Of an extension that belongs to nobody: no verifier can know it. */
export const unknownExtension = "1.3.6.1.4.1.32473.1";

/** What is put into a certificate. Tests change it in place. */
export interface Template {
  version: x509.Version;
  serialNumber: ArrayBuffer;
  /** In the part that is signed, and outside it. */
  innerAlgorithm: x509.AlgorithmIdentifier;
  outerAlgorithm: x509.AlgorithmIdentifier;
  issuer: x509.Name;
  subject: x509.Name;
  notBefore: x509.Time;
  notAfter: x509.Time;
  publicKey: x509.SubjectPublicKeyInfo;
  extensions: x509.Extension[] | undefined;
  /** What Issued.privateKey becomes: signs what is issued under this certificate. */
  privateKey: KeyObject;
  /** Signs the bytes of the inner part. */
  sign: (tbs: Uint8Array) => Uint8Array;
  /** Changes the bytes of the inner part before they are signed. */
  editTbs: (tbs: Uint8Array) => Uint8Array;
  /** Changes the bytes of the certificate. */
  editCertificate: (certificate: Uint8Array) => Uint8Array;
}

export type Edit = (template: Template) => void;

/** A certificate with the key that it is for. */
export interface Issued {
  readonly der: Uint8Array;
  readonly subject: x509.Name;
  readonly privateKey: KeyObject;
}

export interface KeyPair {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}

export type Chain = Readonly<Record<Level, Issued>>;

const INSTANCE_ID = "i-0123456789abcdef0";
export const MODULE_ID: string = `${INSTANCE_ID}-enc0123456789abcdef`;
const SIGNING_CA =
  x509.KeyUsageFlags.digitalSignature | x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign;

interface Shape {
  readonly commonName: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly extensions: readonly x509.Extension[];
}

const SHAPES: Readonly<Record<Level, Shape>> = {
  root: {
    commonName: "test.nitro-enclaves",
    notBeforeMs: Date.UTC(2019, 9, 28),
    notAfterMs: Date.UTC(2049, 9, 28),
    extensions: [basicConstraints({ cA: true }), keyUsage(SIGNING_CA)],
  },
  regional: {
    commonName: "0123456789abcdef.eu-west-1.aws.nitro-enclaves",
    notBeforeMs: NOW - 10 * DAY,
    notAfterMs: NOW + 10 * DAY + HOUR,
    extensions: [
      basicConstraints({ cA: true, pathLenConstraint: 2 }),
      keyUsage(SIGNING_CA),
      crlDistributionPoints(),
    ],
  },
  zonal: {
    commonName: "fedcba9876543210.zonal.eu-west-1.aws.nitro-enclaves",
    notBeforeMs: NOW - 3 * DAY,
    notAfterMs: NOW + 3 * DAY,
    extensions: [
      basicConstraints({ cA: true, pathLenConstraint: 1 }),
      keyUsage(SIGNING_CA),
      crlDistributionPoints(),
    ],
  },
  instance: {
    commonName: `${INSTANCE_ID}.eu-west-1.aws.nitro-enclaves`,
    notBeforeMs: NOW - 12 * HOUR,
    notAfterMs: NOW + 12 * HOUR,
    extensions: [
      basicConstraints({ cA: true, pathLenConstraint: 0 }),
      keyUsage(x509.KeyUsageFlags.keyCertSign),
    ],
  },
  leaf: {
    commonName: `${MODULE_ID}.eu-west-1.aws`,
    notBeforeMs: NOW - HOUR - 3 * SECOND,
    notAfterMs: NOW + 2 * HOUR,
    extensions: [
      basicConstraints({ cA: false }),
      keyUsage(x509.KeyUsageFlags.digitalSignature | x509.KeyUsageFlags.nonRepudiation, false),
    ],
  },
};

export function keyPair(namedCurve = "P-384"): KeyPair {
  return generateKeyPairSync("ec", { namedCurve });
}

const keys = new Map<Level, KeyPair>();

/** The key of a level: the same in every chain of this process. */
export function keyOf(level: Level): KeyPair {
  const pair = keys.get(level) ?? keyPair();
  keys.set(level, pair);
  return pair;
}

/** A certificate of that level under `issuer`, or self-signed. */
export function issue(
  level: Level,
  issuer?: Issued,
  edit?: Edit,
  key: KeyPair = keyOf(level),
): Issued {
  const shape = SHAPES[level];
  const subject = nameOf(shape.commonName);
  const template: Template = {
    version: x509.Version.v3,
    serialNumber: bufferOf(Uint8Array.of(0x40, ...randomBytes(15))),
    innerAlgorithm: algorithm(ecdsaWithSha384),
    outerAlgorithm: algorithm(ecdsaWithSha384),
    issuer: issuer?.subject ?? subject,
    subject,
    notBefore: new x509.Time(shape.notBeforeMs),
    notAfter: new x509.Time(shape.notAfterMs),
    publicKey: publicKeyInfo(key.publicKey),
    extensions: [...shape.extensions],
    privateKey: key.privateKey,
    sign: signedBy(issuer?.privateKey ?? key.privateKey),
    editTbs: (tbs) => tbs,
    editCertificate: (certificate) => certificate,
  };
  edit?.(template);
  return { der: encode(template), subject: template.subject, privateKey: template.privateKey };
}

/**
 * A whole chain; the edit of a level is seen by the levels below it. With `above`, levels over the
 * first edit are those of that chain, byte for byte.
 */
export function makeChain(edits: { readonly [level in Level]?: Edit } = {}, above?: Chain): Chain {
  const chain: Partial<Record<Level, Issued>> = {};
  let issuer: Issued | undefined;
  let kept = above;
  for (const level of LEVELS) {
    kept = edits[level] ? undefined : kept;
    issuer = kept?.[level] ?? issue(level, issuer, edits[level]);
    chain[level] = issuer;
  }
  return chain as Chain;
}

function encode(template: Template): Uint8Array {
  const { notBefore, notAfter, extensions } = template;
  const validity = new x509.Validity();
  validity.notBefore = notBefore;
  validity.notAfter = notAfter;
  const tbs = new x509.TBSCertificate({
    version: template.version,
    serialNumber: template.serialNumber,
    signature: template.innerAlgorithm,
    issuer: template.issuer,
    validity,
    subject: template.subject,
    subjectPublicKeyInfo: template.publicKey,
    ...(extensions && { extensions: new x509.Extensions(extensions) }),
  });
  const signed = template.editTbs(new Uint8Array(AsnConvert.serialize(tbs)));
  const outerAlgorithm = new Uint8Array(AsnConvert.serialize(template.outerAlgorithm));
  const signature = der(BIT_STRING, Uint8Array.of(0), template.sign(signed));
  return template.editCertificate(der(SEQUENCE, signed, outerAlgorithm, signature));
}

/** Signatures as certificates have them: for ECDSA in DER. */
export function signedBy(key: KeyObject, hash = "sha384"): (tbs: Uint8Array) => Uint8Array {
  return (tbs) => Uint8Array.from(sign(hash, tbs, key));
}

export function algorithm(oid: string, parameters?: ArrayBuffer | null): x509.AlgorithmIdentifier {
  return new x509.AlgorithmIdentifier(
    parameters === undefined ? { algorithm: oid } : { algorithm: oid, parameters },
  );
}

export function publicKeyInfo(key: KeyObject): x509.SubjectPublicKeyInfo {
  return AsnConvert.parse(key.export({ type: "spki", format: "der" }), x509.SubjectPublicKeyInfo);
}

const ATTRIBUTES = { C: "2.5.4.6", O: "2.5.4.10", OU: "2.5.4.11", CN: "2.5.4.3" } as const;

/** The common name under the attributes that AWS gives all its names. */
export function nameOf(CN: string, string = "utf8String"): x509.Name {
  const attributes = Object.entries({ C: "US", O: "Amazon", OU: "AWS", CN });
  return new x509.Name(
    attributes.map(([attribute, content]) => {
      const type = ATTRIBUTES[attribute as keyof typeof ATTRIBUTES];
      const kind = attribute === "C" ? "printableString" : string;
      const value = new x509.AttributeValue({ [kind]: content });
      return new x509.RelativeDistinguishedName([new x509.AttributeTypeAndValue({ type, value })]);
    }),
  );
}

export function extension(
  extnID: string,
  critical: boolean,
  value: Uint8Array | object,
): x509.Extension {
  const content = value instanceof Uint8Array ? bufferOf(value) : AsnConvert.serialize(value);
  return new x509.Extension({ extnID, critical, extnValue: new OctetString(content) });
}

export function basicConstraints(
  value: { cA: boolean; pathLenConstraint?: number },
  critical = true,
): x509.Extension {
  return extension(x509.id_ce_basicConstraints, critical, new x509.BasicConstraints(value));
}

export function keyUsage(flags: number, critical = true): x509.Extension {
  return extension(x509.id_ce_keyUsage, critical, new x509.KeyUsage(flags));
}

function crlDistributionPoints(): x509.Extension {
  const uri = new x509.GeneralName({ uniformResourceIdentifier: "http://crl.invalid/a.crl" });
  const point = new x509.DistributionPoint({
    distributionPoint: new x509.DistributionPointName({ fullName: [uri] }),
  });
  return extension(
    x509.id_ce_cRLDistributionPoints,
    false,
    new x509.CRLDistributionPoints([point]),
  );
}

/** Puts an extension in the place of the one of its kind, or at the end. */
export function withExtension(added: x509.Extension): Edit {
  return (template) => {
    const kept = (template.extensions ?? []).filter(({ extnID }) => extnID !== added.extnID);
    template.extensions = [...kept, added];
  };
}

export function withoutExtension(oid: string): Edit {
  return (template) => {
    template.extensions = template.extensions?.filter(({ extnID }) => extnID !== oid);
  };
}

export function bufferOf(content: Uint8Array): ArrayBuffer {
  return Uint8Array.from(content).buffer;
}
