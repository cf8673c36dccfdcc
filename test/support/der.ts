/** Writes DER, and certificates in it, part by part: what a test changes need not be right. */

/** One element: tag, length, content. */
export function der(tag: number, ...content: readonly Uint8Array[]): Uint8Array {
  const body = Buffer.concat(content);
  const length =
    body.length < 0x80
      ? [body.length]
      : body.length < 0x100
        ? [0x81, body.length]
        : [0x82, body.length >> 8, body.length & 0xff];
  return Uint8Array.of(tag, ...length, ...body);
}

export const sequence = (...content: readonly Uint8Array[]): Uint8Array => der(0x30, ...content);
export const integer = (...bytes: readonly number[]): Uint8Array => der(2, Uint8Array.from(bytes));
export const oid = (digits: string): Uint8Array => der(6, hex(digits));
export const text = (value: string, tag = 0x0c): Uint8Array => der(tag, Buffer.from(value));
export const hex = (digits: string): Uint8Array => Uint8Array.from(Buffer.from(digits, "hex"));

/** A Name of attributes, each in a set of its own. */
export function name(
  ...attributes: readonly (readonly [type: string, value: string])[]
): Uint8Array {
  return sequence(
    ...attributes.map(([type, value]) => der(0x31, sequence(oid(type), text(value)))),
  );
}

/** An extension; `critical` is written only where it is true. */
export function extension(type: string, value: Uint8Array, critical = false): Uint8Array {
  const flag = critical ? [der(1, Uint8Array.of(0xff))] : [];
  return sequence(oid(type), ...flag, der(4, value));
}

export const commonNameType = "550403";
export const organizationType = "55040a";
export const basicConstraintsType = "551d13";
export const keyUsageType = "551d0f";

export const ecdsaWithSha384: Uint8Array = sequence(oid("2a8648ce3d040303"));
const generator =
  "04aa87ca22be8b05378eb1c71ef320ad746e1d3b628ba79b9859f741e082542a385502f25dbf55296c3a545e3872760ab7" +
  "3617de4a96262c6f5d9e98bf9292dc29f8f41dbd289a147ce9da3113b5f0b8c00a60b1ce1d7e819d7a431d7c90ea0e5f";

/** SubjectPublicKeyInfo; the generator of P-384 unless another point or algorithm is given. */
export function publicKeyInfo(
  point: Uint8Array = hex(generator),
  algorithm: Uint8Array = sequence(oid("2a8648ce3d0201"), oid("2b81040022")),
): Uint8Array {
  return sequence(algorithm, der(3, Uint8Array.of(0), point));
}

/** The fields of a certificate, in order; each is written as it is. */
export interface CertificateParts {
  readonly version: Uint8Array;
  readonly serialNumber: Uint8Array;
  readonly innerAlgorithm: Uint8Array;
  readonly issuer: Uint8Array;
  readonly notBefore: Uint8Array;
  readonly notAfter: Uint8Array;
  readonly subject: Uint8Array;
  readonly publicKey: Uint8Array;
  readonly extensions: readonly Uint8Array[] | undefined;
  /** What follows the extensions. */
  readonly trailer: Uint8Array;
  readonly outerAlgorithm: Uint8Array;
  /** Content of the BIT STRING. */
  readonly signature: Uint8Array;
}

/** A certificate that parses; its signature is of nobody. */
export function certificate(changes: Partial<CertificateParts> = {}): Uint8Array {
  const parts: CertificateParts = {
    version: der(0xa0, integer(2)),
    serialNumber: integer(1),
    innerAlgorithm: ecdsaWithSha384,
    issuer: name([commonNameType, "issuer"]),
    notBefore: text("240101000000Z", 0x17),
    notAfter: text("250101000000Z", 0x17),
    subject: name([commonNameType, "subject"]),
    publicKey: publicKeyInfo(),
    extensions: [
      extension(basicConstraintsType, sequence(der(1, Uint8Array.of(0xff)), integer(1)), true),
      extension(keyUsageType, der(3, hex("0186")), true),
    ],
    trailer: Uint8Array.of(),
    outerAlgorithm: ecdsaWithSha384,
    signature: Buffer.concat([Uint8Array.of(0), sequence(integer(1), integer(2))]),
    ...changes,
  };
  return sequence(
    sequence(
      parts.version,
      parts.serialNumber,
      parts.innerAlgorithm,
      parts.issuer,
      sequence(parts.notBefore, parts.notAfter),
      parts.subject,
      parts.publicKey,
      ...(parts.extensions === undefined ? [] : [der(0xa3, sequence(...parts.extensions))]),
      parts.trailer,
    ),
    parts.outerAlgorithm,
    der(3, parts.signature),
  );
}
