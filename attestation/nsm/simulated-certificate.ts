/**
 * X.509 certificates of the simulator, with the extensions that the hardware's have: P-384 keys,
 * ecdsa-with-SHA384, v3. Loaded only when a simulator is made.
 */
import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto";
import { AsnConvert, OctetString } from "@peculiar/asn1-schema";
import * as x509 from "@peculiar/asn1-x509";

/** A certificate and the key that it certifies. */
export interface Certified {
  /** DER. */
  readonly certificate: Uint8Array;
  readonly privateKey: KeyObject;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly subject: x509.Name;
  readonly keyIdentifier: ArrayBuffer;
}

/** What a certificate says. Times are milliseconds since the epoch, cut to seconds in it. */
export interface CertificateTemplate {
  readonly commonName: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly basicConstraints: { readonly cA: boolean; readonly pathLenConstraint?: number };
  readonly keyUsage: number;
  /** Where a revocation list would be. Nobody may go there: the name cannot resolve. */
  readonly revocationList?: string;
}

/** What every subject and issuer of the simulator carries, so that nobody takes it for hardware. */
const SIMULATOR_ORGANIZATION = "sealrpc simulator";

const ECDSA_WITH_SHA384 = "1.2.840.10045.4.3.3";
const ORGANIZATION = "2.5.4.10";
const COMMON_NAME = "2.5.4.3";

/** Makes a key and its certificate, signed by `issuer`, or by itself. */
export function certify(template: CertificateTemplate, issuer?: Certified): Certified {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-384" });
  const spki = AsnConvert.parse(
    publicKey.export({ type: "spki", format: "der" }),
    x509.SubjectPublicKeyInfo,
  );
  const keyIdentifier = bufferOf(
    createHash("sha1").update(new Uint8Array(spki.subjectPublicKey)).digest(),
  );
  const subject = nameOf(template.commonName);
  const algorithm = new x509.AlgorithmIdentifier({ algorithm: ECDSA_WITH_SHA384 });
  const notBefore = new Date(template.notBeforeMs);
  const notAfter = new Date(template.notAfterMs);
  const tbsCertificate = new x509.TBSCertificate({
    version: x509.Version.v3,
    serialNumber: serialNumber(),
    signature: algorithm,
    issuer: issuer?.subject ?? subject,
    validity: new x509.Validity({ notBefore, notAfter }),
    subject,
    subjectPublicKeyInfo: spki,
    extensions: new x509.Extensions(extensionsOf(template, keyIdentifier, issuer)),
  });
  const tbs = new Uint8Array(AsnConvert.serialize(tbsCertificate));
  const certificate = new x509.Certificate({
    tbsCertificate,
    signatureAlgorithm: algorithm,
    signatureValue: bufferOf(sign("sha384", tbs, issuer?.privateKey ?? privateKey)),
  });
  return {
    certificate: new Uint8Array(AsnConvert.serialize(certificate)),
    privateKey,
    notBeforeMs: template.notBeforeMs,
    notAfterMs: template.notAfterMs,
    subject,
    keyIdentifier,
  };
}

function extensionsOf(
  { basicConstraints, keyUsage, revocationList }: CertificateTemplate,
  keyIdentifier: ArrayBuffer,
  issuer: Certified | undefined,
): x509.Extension[] {
  const constraints = new x509.BasicConstraints(basicConstraints);
  const extensions = [
    extension(x509.id_ce_basicConstraints, true, constraints),
    extension(x509.id_ce_keyUsage, basicConstraints.cA, new x509.KeyUsage(keyUsage)),
  ];
  if (basicConstraints.cA) {
    const own = new x509.SubjectKeyIdentifier(keyIdentifier);
    extensions.push(extension(x509.id_ce_subjectKeyIdentifier, false, own));
    if (issuer) {
      const authority = new x509.AuthorityKeyIdentifier({
        keyIdentifier: new x509.KeyIdentifier(issuer.keyIdentifier),
      });
      extensions.push(extension(x509.id_ce_authorityKeyIdentifier, false, authority));
    }
  }
  if (revocationList !== undefined) {
    const fullName = [new x509.GeneralName({ uniformResourceIdentifier: revocationList })];
    const point = new x509.DistributionPoint({
      distributionPoint: new x509.DistributionPointName({ fullName }),
    });
    const points = new x509.CRLDistributionPoints([point]);
    extensions.push(extension(x509.id_ce_cRLDistributionPoints, false, points));
  }
  return extensions;
}

function extension(extnID: string, critical: boolean, value: object): x509.Extension {
  const extnValue = new OctetString(AsnConvert.serialize(value));
  return new x509.Extension({ extnID, critical, extnValue });
}

function nameOf(commonName: string): x509.Name {
  const attributes = [
    [ORGANIZATION, SIMULATOR_ORGANIZATION],
    [COMMON_NAME, commonName],
  ] as const;
  return new x509.Name(
    attributes.map(([type, utf8String]) => {
      const value = new x509.AttributeValue({ utf8String });
      return new x509.RelativeDistinguishedName([new x509.AttributeTypeAndValue({ type, value })]);
    }),
  );
}

/** 16 random bytes that are a positive integer without a leading zero byte. */
function serialNumber(): ArrayBuffer {
  const serial = randomBytes(16);
  serial[0] = 0x40 | (serial.readUInt8(0) & 0x3f);
  return bufferOf(serial);
}

function bufferOf(bytes: Uint8Array): ArrayBuffer {
  return Uint8Array.from(bytes).buffer;
}
