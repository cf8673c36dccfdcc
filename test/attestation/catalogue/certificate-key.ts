/** Group ch, fourth part: certificates for another key, or for a key in another form. */
import { ECDH, generateKeyPairSync } from "node:crypto";
import * as x509 from "@peculiar/asn1-x509";
import { part } from "../../support/certificate-surgery.ts";
import { CURVE_B, FIELD_PRIME, fixed, squareRoot } from "../../support/p384-numbers.ts";
import { hex, join } from "../../support/raw-cbor.ts";
import { BIT_STRING, children, contentOf, der, SEQUENCE } from "../../support/raw-der.ts";
import {
  algorithm,
  bufferOf,
  type Edit,
  type KeyPair,
  keyPair,
  publicKeyInfo,
  sha384WithRsa,
} from "../../support/test-pki.ts";
import type { Attack } from "./attack.ts";
import { at, BOTH, under } from "./chain.ts";

const EC_PUBLIC_KEY = "1.2.840.10045.2.1";
/** OBJECT IDENTIFIER of secp384r1, secp521r1 and secp256r1. */
const P384 = hex("06052b81040022");
const P521 = hex("06052b81040023");
const P256 = hex("06082a8648ce3d030107");
const zeroByte = hex("00");

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
  const parameters = digitsOf(new Uint8Array(kind.parameters!));
  const changed = parameters.replace(/04aa87ca22.{184}/, digitsOf(own));
  if (changed === parameters) throw new Error("no generator in the parameters");
  template.publicKey = new x509.SubjectPublicKeyInfo({
    algorithm: algorithm(kind.algorithm, bufferOf(hex(changed))),
    subjectPublicKey,
  });
};

/** The point with x = 0, written with x = p: the same point for who reduces it. */
const UNREDUCED_POINT = join(hex("04"), fixed(FIELD_PRIME), fixed(squareRoot(CURVE_B)));

export const certificateKeys: readonly Attack[] = [
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

function digitsOf(value: Uint8Array): string {
  return Buffer.from(value).toString("hex");
}
