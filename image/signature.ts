/**
 * The signature section of an image (docs/image.md): a certificate, and a COSE_Sign1 (RFC 9052) by its key
 * over PCR0. The hypervisor puts the certificate's hash into PCR8; whether it was signed by that key is
 * checked here and by whoever starts the image.
 */
import { type KeyObject, X509Certificate, createPrivateKey, sign, verify } from "node:crypto";
import { type CborMap, type CborValue, decodeCbor, encodeCbor } from "./cbor.ts";
import { ImageError } from "./errors.ts";
import { measureSigner, PCR_BYTES } from "./measurement.ts";

export interface ImageSigner {
  readonly key: KeyObject;
  /** DER */
  readonly certificate: Uint8Array;
}

export interface ImageSignature {
  readonly algorithm: "ES256" | "ES384" | "ES512";
  /** DER */
  readonly certificate: Uint8Array;
  readonly pcr8: Uint8Array;
}

/** By the name that OpenSSL has for the curve: the hash, and the algorithm's number in COSE. */
const algorithms = {
  prime256v1: { name: "ES256", cose: -7, hash: "sha256" },
  secp384r1: { name: "ES384", cose: -35, hash: "sha384" },
  secp521r1: { name: "ES512", cose: -36, hash: "sha512" },
} as const;

const HEADER_ALGORITHM = 1;
const NO_BYTES = new Uint8Array();

/**
 * A signer of a private key and its certificate, both PEM. Of several certificates the first counts.
 *
 * @throws ImageError `unusable-input` when they do not belong together, are not of P-384, or are not
 *   valid at `nowMs`.
 */
export function parseSigner(keyPem: string, certificatePem: string, nowMs: number): ImageSigner {
  let key: KeyObject;
  let certificate: X509Certificate;
  let curve: string | undefined;
  try {
    key = createPrivateKey(keyPem);
    certificate = new X509Certificate(certificatePem);
    curve = certificate.publicKey.asymmetricKeyDetails?.namedCurve;
  } catch (cause) {
    throw new ImageError("unusable-input", "the signer's key or certificate is no PEM", { cause });
  }
  if (curve !== "secp384r1") {
    throw new ImageError("unusable-input", "the signer's certificate: expected a key of P-384");
  }
  if (!certificate.checkPrivateKey(key)) {
    throw new ImageError("unusable-input", "the signer's key is not that of its certificate");
  }
  const { validFrom, validTo } = certificate;
  if (!(nowMs >= Date.parse(validFrom) && nowMs <= Date.parse(validTo))) {
    throw new ImageError(
      "unusable-input",
      `the signer's certificate is valid from ${validFrom} to ${validTo}: no enclave would start`,
    );
  }
  return { key, certificate: new Uint8Array(certificate.raw) };
}

/** The data of the signature section of an image with this PCR0. */
export function signImage({ key, certificate }: ImageSigner, pcr0: Uint8Array): Uint8Array {
  const { cose, hash } = algorithms.secp384r1;
  const headers = encodeCbor(new Map([[HEADER_ALGORITHM, cose]]));
  const payload = encodePayload(pcr0);
  const signature = sign(hash, signedBytes(headers, payload), { key, dsaEncoding: "ieee-p1363" });
  const envelope = encodeCbor([headers, new Map(), payload, new Uint8Array(signature)]);
  const pem = new TextEncoder().encode(new X509Certificate(certificate).toString());
  // Byte strings stand as arrays of integers, as the reader in nitro-cli has them.
  const entry = new Map([
    ["signing_certificate", [...pem]],
    ["signature", [...envelope]],
  ]);
  return encodeCbor([entry]);
}

/**
 * Verifies a signature section against the certificate in it and the image's PCR0. The certificate's
 * dates and issuer are not judged: it stands for itself, and who relies on it compares PCR8.
 *
 * @throws ImageError `malformed-signature`, `bad-signature`.
 */
export function verifyImageSignature(section: Uint8Array, pcr0: Uint8Array): ImageSignature {
  const { certificate, publicKey, envelope } = parseSection(section);
  const curve = curveOf(publicKey);
  const { name, cose, hash } = algorithms[curve];
  const { headers, payload, signature } = parseEnvelope(envelope);
  expectSame(headers, encodeCbor(new Map([[HEADER_ALGORITHM, cose]])), `header of ${name}`);
  if (!same(payload, encodePayload(pcr0))) {
    throw new ImageError("bad-signature", "what was signed is not this image's PCR0");
  }
  const signed = signedBytes(headers, payload);
  if (!verify(hash, signed, { key: publicKey, dsaEncoding: "ieee-p1363" }, signature)) {
    throw new ImageError("bad-signature", "the signature is not of the certificate's key");
  }
  const der = new Uint8Array(certificate.raw);
  return { algorithm: name, certificate: der, pcr8: measureSigner(der) };
}

function parseSection(section: Uint8Array): {
  readonly certificate: X509Certificate;
  readonly publicKey: KeyObject;
  readonly envelope: Uint8Array;
} {
  const list = decode(section);
  const entry = Array.isArray(list) && list.length === 1 ? (list[0] as CborValue) : undefined;
  if (!(entry instanceof Map) || entry.size !== 2) {
    malformed("expected a list of one map of two entries");
  }
  const pem = Buffer.from(integersOf(entry, "signing_certificate")).toString("latin1");
  const envelope = integersOf(entry, "signature");
  if (/-----BEGIN ([^-]*)-----/.exec(pem)?.[1] !== "CERTIFICATE") {
    malformed("expected a certificate in PEM");
  }
  try {
    const certificate = new X509Certificate(pem);
    // Decoding the key is a step of its own, which fails when its point is not on the curve.
    const { publicKey } = certificate;
    return { certificate, publicKey, envelope };
  } catch (cause) {
    throw new ImageError("malformed-signature", "the certificate is none", { cause });
  }
}

function parseEnvelope(envelope: Uint8Array): {
  readonly headers: Uint8Array;
  readonly payload: Uint8Array;
  readonly signature: Uint8Array;
} {
  const parts = decode(envelope);
  const [headers, unprotected, payload, signature] = Array.isArray(parts)
    ? (parts as readonly CborValue[])
    : [];
  if (
    !Array.isArray(parts) ||
    parts.length !== 4 ||
    !(headers instanceof Uint8Array) ||
    !(unprotected instanceof Map) ||
    unprotected.size !== 0 ||
    !(payload instanceof Uint8Array) ||
    !(signature instanceof Uint8Array)
  ) {
    malformed("expected an untagged COSE_Sign1 without unprotected headers");
  }
  return { headers, payload, signature };
}

function encodePayload(pcr0: Uint8Array): Uint8Array {
  return encodeCbor(
    new Map<string, CborValue>([
      ["register_index", 0],
      ["register_value", [...pcr0.subarray(0, PCR_BYTES)]],
    ]),
  );
}

/** Sig_structure of RFC 9052 §4.4 = ["Signature1", protected, external_aad = h'', payload]. */
function signedBytes(headers: Uint8Array, payload: Uint8Array): Uint8Array {
  return encodeCbor(["Signature1", headers, NO_BYTES, payload]);
}

function curveOf({ asymmetricKeyDetails }: KeyObject): keyof typeof algorithms {
  const curve = asymmetricKeyDetails?.namedCurve ?? "";
  if (!Object.hasOwn(algorithms, curve)) {
    malformed("the certificate's key: expected P-256, P-384 or P-521");
  }
  return curve as keyof typeof algorithms;
}

function decode(bytes: Uint8Array): CborValue {
  try {
    return decodeCbor(bytes);
  } catch (cause) {
    throw new ImageError("malformed-signature", "the section is no CBOR of its kind", { cause });
  }
}

function integersOf(map: CborMap, key: string): Uint8Array {
  const value = map.get(key);
  const items = Array.isArray(value) ? (value as readonly CborValue[]) : [];
  if (items.length === 0 || !items.every((item) => isByte(item))) {
    malformed(`${key}: expected a list of bytes`);
  }
  return Uint8Array.from(items as readonly number[]);
}

function isByte(value: CborValue): boolean {
  return typeof value === "number" && value >= 0 && value <= 0xff;
}

function expectSame(received: Uint8Array, expected: Uint8Array, what: string): void {
  if (!same(received, expected)) malformed(`expected the ${what}`);
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

function malformed(message: string): never {
  throw new ImageError("malformed-signature", message);
}
