/** The numbers of P-384 (FIPS 186-4, D.1.2.4), for points and signatures that only look right. */

export const FIELD_PRIME: bigint = 2n ** 384n - 2n ** 128n - 2n ** 96n + 2n ** 32n - 1n;

export const CURVE_ORDER: bigint = BigInt(
  "0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973",
);

/** y² = x³ - 3x + b */
export const CURVE_B: bigint = BigInt(
  "0xb3312fa7e23ee7e4988e056be3f82d19181d9c6efe8141120314088f5013875ac656398d8a2ed19d2a85c8edd3ec2aef",
);

/** 48 bytes, big endian. */
export function fixed(value: bigint): Uint8Array {
  return Uint8Array.from(Buffer.from(value.toString(16).padStart(96, "0"), "hex"));
}

/** A root modulo the field's prime, which is 3 modulo 4. */
export function squareRoot(value: bigint): bigint {
  let root = 1n;
  let power = value;
  for (let exponent = (FIELD_PRIME + 1n) / 4n; exponent > 0n; exponent >>= 1n) {
    if (exponent & 1n) root = (root * power) % FIELD_PRIME;
    power = (power * power) % FIELD_PRIME;
  }
  if ((root * root) % FIELD_PRIME !== value) throw new RangeError("not a square");
  return root;
}
