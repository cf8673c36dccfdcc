/** The numbers of curve P-384 (FIPS 186, SP 800-186): which points and which scalars exist. */

const p = BigInt(
  "0xfffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffeffffffff0000000000000000ffffffff",
);
const b = BigInt(
  "0xb3312fa7e23ee7e4988e056be3f82d19181d9c6efe8141120314088f5013875ac656398d8a2ed19d2a85c8edd3ec2aef",
);
const n = BigInt(
  "0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973",
);

/**
 * Whether 97 bytes are an uncompressed point of the curve (SEC 1 §2.3.4). The curve's cofactor is
 * one, so every such point may be a public key.
 */
export function isPoint(bytes: Uint8Array): boolean {
  if (bytes.length !== 97 || bytes[0] !== 4) return false;
  const x = integerOf(bytes.subarray(1, 49));
  const y = integerOf(bytes.subarray(49));
  // y^2 = x^3 - 3x + b
  return x < p && y < p && (y * y - (x * x * x - 3n * x + b)) % p === 0n;
}

/** Whether 48 bytes are an integer from 1 to n - 1, as r and s of a signature must be. */
export function isScalar(bytes: Uint8Array): boolean {
  if (bytes.length !== 48) return false;
  const value = integerOf(bytes);
  return value > 0n && value < n;
}

function integerOf(bytes: Uint8Array): bigint {
  const { buffer, byteOffset, byteLength } = bytes;
  const view = new DataView(buffer, byteOffset, byteLength);
  let value = 0n;
  for (let i = 0; i < byteLength; i += 8) value = (value << 64n) | view.getBigUint64(i);
  return value;
}
