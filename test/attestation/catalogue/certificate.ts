/** Group ch, second part: certificates of another form, algorithm or key. */
import { ECDH, generateKeyPairSync } from "node:crypto";
import * as x509 from "@peculiar/asn1-x509";
import {
  CURVE_B,
  CURVE_ORDER,
  FIELD_PRIME,
  fixed,
  squareRoot,
} from "../../support/p384-numbers.ts";
import { hex, join } from "../../support/raw-cbor.ts";
import { BIT_STRING, children, contentOf, der, SEQUENCE, SET } from "../../support/raw-der.ts";
import {
  algorithm,
  basicConstraints,
  bufferOf,
  ecdsaWithSha256,
  ecdsaWithSha384,
  ecdsaWithSha512,
  type Edit,
  extension,
  keyOf,
  type KeyPair,
  keyPair,
  keyUsage,
  type Level,
  LEVELS,
  publicKeyInfo,
  sha384WithRsa,
  signedBy,
  type Template,
  unknownExtension,
  withExtension,
} from "../../support/test-pki.ts";
import type { Attack } from "./attack.ts";
import { at, under } from "./chain.ts";

const EC_PUBLIC_KEY = "1.2.840.10045.2.1";
/** OBJECT IDENTIFIER of secp384r1, secp521r1 and secp256r1. */
const P384 = hex("06052b81040022");
const P521 = hex("06052b81040023");
const P256 = hex("06082a8648ce3d030107");

/** One certificate that signs documents, and one that signs certificates. */
const BOTH: readonly Level[] = ["zonal", "leaf"];

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

/** Places of the parts inside the part that is signed. */
const PART = { version: 0, serial: 1, algorithm: 2, issuer: 3, validity: 4, subject: 5, key: 6 };

/** Writes a part of what is signed by hand; the certificate is signed afterwards. */
function part(name: keyof typeof PART, change: (element: Uint8Array) => Uint8Array): Edit {
  return (template) => {
    template.editTbs = (tbs) => {
      const parts = children(tbs);
      const index = PART[name];
      parts[index] = change(parts[index]!);
      return der(SEQUENCE, ...parts);
    };
  };
}

const certificateBytes =
  (change: (certificate: Uint8Array) => Uint8Array): Edit =>
  (template) => {
    template.editCertificate = change;
  };
const tbsBytes =
  (change: (tbs: Uint8Array) => Uint8Array): Edit =>
  (template) => {
    template.editTbs = change;
  };
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

const issuerKeyOf = (level: Level) => keyOf(LEVELS[LEVELS.indexOf(level) - 1]!).privateKey;

/** Honestly signed with ECDSA over another hash. */
function hashed(oid: string, hash: string): Attack[] {
  return BOTH.map((level) =>
    under(`ch-${level}-ecdsa-with-${hash}`, {
      [level]: (template: Template) => {
        template.innerAlgorithm = algorithm(oid);
        template.outerAlgorithm = algorithm(oid);
        template.sign = signedBy(issuerKeyOf(level), hash);
      },
    }),
  );
}

/** The signature's bits, without the count of unused ones, written otherwise. */
function signature(change: (signature: Uint8Array) => Uint8Array): Edit {
  return certificateBytes((certificate) => {
    const [tbs, algorithmOutside, bits] = children(certificate);
    const changed = change(contentOf(bits!).slice(1));
    return der(SEQUENCE, tbs!, algorithmOutside!, der(BIT_STRING, zeroByte, changed));
  });
}

/** r and s of a signature in DER, changed as integers. */
function numbers(change: (r: bigint, s: bigint) => [bigint, bigint]): Edit {
  return signature((pair) => {
    const [r, s] = children(pair).map((item) => BigInt(`0x${hexOf(contentOf(item))}`));
    return der(SEQUENCE, ...change(r!, s!).map(integer));
  });
}

/** INTEGER of a number that is not negative. */
function integer(value: bigint): Uint8Array {
  const digits = value.toString(16);
  const content = hex(digits.padStart(digits.length + (digits.length % 2), "0"));
  return der(0x02, content[0]! >= 0x80 ? join(zeroByte, content) : content);
}

function hexOf(value: Uint8Array): string {
  return Buffer.from(value).toString("hex");
}

const signatures: readonly Attack[] = [
  ...hashed(ecdsaWithSha256, "sha256"),
  ...hashed(ecdsaWithSha512, "sha512"),
  ...at(BOTH, "inner-algorithm-differs", (template) => {
    template.innerAlgorithm = algorithm(ecdsaWithSha256);
  }),
  ...at(BOTH, "outer-algorithm-differs", (template) => {
    template.outerAlgorithm = algorithm(ecdsaWithSha256);
  }),
  ...at(BOTH, "outer-algorithm-differs-by-null", (template) => {
    template.outerAlgorithm = algorithm(ecdsaWithSha384, null);
  }),
  ...at(BOTH, "algorithms-with-null", (template) => {
    template.innerAlgorithm = algorithm(ecdsaWithSha384, null);
    template.outerAlgorithm = algorithm(ecdsaWithSha384, null);
  }),
  ...at(
    BOTH,
    "signature-malleated-s",
    numbers((r, s) => [r, CURVE_ORDER - s]),
    "accepted",
  ),
  ...at(
    BOTH,
    "signature-r-zero",
    numbers((_, s) => [0n, s]),
  ),
  ...at(
    BOTH,
    "signature-s-zero",
    numbers((r) => [r, 0n]),
  ),
  ...at(
    BOTH,
    "signature-psychic",
    numbers(() => [0n, 0n]),
  ),
  ...at(
    BOTH,
    "signature-r-n",
    numbers((_, s) => [CURVE_ORDER, s]),
  ),
  ...at(
    BOTH,
    "signature-r-of-49-bytes",
    numbers((r, s) => [r + 2n ** 384n, s]),
  ),
  ...at(
    BOTH,
    "signature-s-plus-n",
    numbers((r, s) => [r, s + CURVE_ORDER]),
  ),
  ...at(
    BOTH,
    "signature-swapped",
    numbers((r, s) => [s, r]),
  ),
  ...at(
    BOTH,
    "signature-empty",
    signature(() => new Uint8Array()),
  ),
  ...at(
    BOTH,
    "signature-trailing-byte",
    signature((pair) => join(pair, zeroByte)),
  ),
  ...at(
    BOTH,
    "signature-third-number",
    signature((pair) => der(SEQUENCE, contentOf(pair), hex("020101"))),
  ),
  ...at(
    BOTH,
    "signature-number-long-form",
    signature((pair) => {
      const [r, s] = children(pair);
      return der(SEQUENCE, der(0x02, zeroByte, zeroByte, contentOf(r!)), s!);
    }),
  ),
  ...at(
    BOTH,
    "signature-numbers-without-structure",
    signature((pair) =>
      join(
        ...children(pair).map((item) => hex(hexOf(contentOf(item)).slice(-96).padStart(96, "0"))),
      ),
    ),
  ),
  ...at(
    BOTH,
    "signature-with-unused-bits",
    certificateBytes((certificate) => {
      const [tbs, algorithmOutside, bits] = children(certificate);
      const content = contentOf(bits!);
      content[0] = 1;
      return der(SEQUENCE, tbs!, algorithmOutside!, der(BIT_STRING, content));
    }),
  ),
];

/** Puts the public key of a pair into a certificate; what is below is signed with the pair. */
function keyed({ publicKey, privateKey }: KeyPair): Edit {
  return (template) => {
    template.publicKey = publicKeyInfo(publicKey);
    template.privateKey = privateKey;
  };
}

/** A leaf whose key cannot sign documents in their form keeps the old one for it. */
function keyInLeaf({ publicKey }: KeyPair): Edit {
  return (template) => (template.publicKey = publicKeyInfo(publicKey));
}

function otherKey(name: string, pair: KeyPair, below?: Edit): Attack[] {
  return [
    under(`ch-leaf-key-${name}`, { leaf: keyInLeaf(pair) }),
    under(`ch-zonal-key-${name}`, { zonal: keyed(pair), ...(below && { instance: below }) }),
  ];
}

/** The point of the key in another form. */
function point(change: (point: Uint8Array) => Uint8Array): Edit {
  return (template) => {
    const { algorithm: kind, subjectPublicKey } = template.publicKey;
    template.publicKey = new x509.SubjectPublicKeyInfo({
      algorithm: kind,
      subjectPublicKey: bufferOf(change(new Uint8Array(subjectPublicKey))),
    });
  };
}

function keyAlgorithm(kind: x509.AlgorithmIdentifier): Edit {
  return (template) => {
    const { subjectPublicKey } = template.publicKey;
    template.publicKey = new x509.SubjectPublicKeyInfo({ algorithm: kind, subjectPublicKey });
  };
}

/** The same point as SEC 1 §2.3.3 writes it otherwise. */
function converted(format: "compressed" | "hybrid"): Edit {
  return point((uncompressed) =>
    Uint8Array.from(
      ECDH.convertKey(uncompressed, "secp384r1", undefined, undefined, format) as Buffer,
    ),
  );
}

/** A key whose curve is spelled out, so that whoever wrote it chose the generator. */
const explicit = generateKeyPairSync("ec", { namedCurve: "P-384", paramEncoding: "explicit" });

/** The generator replaced by the public point: its private key is 1, for any point. */
const chosenGenerator: Edit = (template) => {
  const { algorithm: kind, subjectPublicKey } = publicKeyInfo(explicit.publicKey);
  const own = new Uint8Array(subjectPublicKey);
  const parameters = hexOf(new Uint8Array(kind.parameters!));
  const changed = parameters.replace(/04aa87ca22.{184}/, hexOf(own));
  if (changed === parameters) throw new Error("no generator in the parameters");
  template.publicKey = new x509.SubjectPublicKeyInfo({
    algorithm: algorithm(kind.algorithm, bufferOf(hex(changed))),
    subjectPublicKey,
  });
};

/** The point with x = 0, written with x = p: the same point for who reduces it. */
const UNREDUCED_POINT = join(hex("04"), fixed(FIELD_PRIME), fixed(squareRoot(CURVE_B)));

const keys: readonly Attack[] = [
  ...otherKey("p-256", keyPair("P-256")),
  ...otherKey("p-521", keyPair("P-521")),
  ...otherKey("secp256k1", keyPair("secp256k1")),
  ...otherKey("explicit-parameters", explicit),
  ...otherKey("rsa", generateKeyPairSync("rsa", { modulusLength: 2048 }), (template) => {
    template.innerAlgorithm = algorithm(sha384WithRsa, null);
    template.outerAlgorithm = algorithm(sha384WithRsa, null);
  }),
  under("ch-leaf-key-ed25519", { leaf: keyInLeaf(generateKeyPairSync("ed25519")) }),
  ...at(BOTH, "key-generator-chosen", chosenGenerator),
  ...at(BOTH, "key-compressed", converted("compressed")),
  ...at(BOTH, "key-hybrid", converted("hybrid")),
  ...at(
    BOTH,
    "key-off-curve",
    point((bytes) => bytes.with(96, bytes[96]! ^ 1)),
  ),
  ...at(
    BOTH,
    "key-at-infinity",
    point(() => zeroByte),
  ),
  ...at(
    BOTH,
    "key-zero",
    point(() => join(hex("04"), new Uint8Array(96))),
  ),
  ...at(
    BOTH,
    "key-coordinate-unreduced",
    point(() => UNREDUCED_POINT),
  ),
  ...at(
    BOTH,
    "key-with-a-trailing-byte",
    point((bytes) => join(bytes, zeroByte)),
  ),
  ...at(
    BOTH,
    "key-cut-short",
    point((bytes) => bytes.slice(0, -1)),
  ),
  ...at(
    BOTH,
    "key-info-with-a-trailing-element",
    part("key", (element) => der(SEQUENCE, contentOf(element), hex("0500"))),
  ),
  ...at(
    BOTH,
    "key-with-unused-bits",
    part("key", (element) => {
      const [kind, bits] = children(element);
      return der(SEQUENCE, kind!, der(BIT_STRING, contentOf(bits!).with(0, 1)));
    }),
  ),
  ...at(BOTH, "key-of-p-521-by-name", keyAlgorithm(algorithm(EC_PUBLIC_KEY, bufferOf(P521)))),
  ...at(BOTH, "key-of-no-algorithm", keyAlgorithm(algorithm("1.2.840.10045.2.2", bufferOf(P384)))),
  ...at(BOTH, "key-for-ecdh", keyAlgorithm(algorithm("1.3.132.1.12", bufferOf(P384)))),
  ...at(BOTH, "key-without-parameters", keyAlgorithm(algorithm(EC_PUBLIC_KEY))),
  ...at(BOTH, "key-of-an-implicit-curve", keyAlgorithm(algorithm(EC_PUBLIC_KEY, null))),
  ...at(BOTH, "key-of-another-curve-named", keyAlgorithm(algorithm(EC_PUBLIC_KEY, bufferOf(P256)))),
];

export const certificates: readonly Attack[] = [...extensions, ...encoding, ...signatures, ...keys];
