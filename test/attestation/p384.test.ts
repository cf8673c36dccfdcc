import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { decodeHex } from "../../attestation/bytes.ts";
import { isPoint, isScalar } from "../../attestation/p384.ts";

const generatorX =
  "aa87ca22be8b05378eb1c71ef320ad746e1d3b628ba79b9859f741e082542a385502f25dbf55296c3a545e3872760ab7";
const generatorY =
  "3617de4a96262c6f5d9e98bf9292dc29f8f41dbd289a147ce9da3113b5f0b8c00a60b1ce1d7e819d7a431d7c90ea0e5f";
const prime =
  "fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffeffffffff0000000000000000ffffffff";
const order =
  "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973";
/** The x of a point whose y is 1. */
const xOfOne =
  "2261b2bf605c22f2f3aef6338719b2c486388ad5240719a5257315969ef01ba27f0a104c89704773a81fdabee6ab5c78";
const zero = "00".repeat(48);
const hex = (digits: string) => decodeHex(digits)!;
const digitsOf = (value: bigint) => value.toString(16).padStart(96, "0");

describe("points of P-384", () => {
  it("has its generator", () => assert.ok(isPoint(hex(`04${generatorX}${generatorY}`))));

  it("has the generator's negative", () => {
    const y = BigInt(`0x${prime}`) - BigInt(`0x${generatorY}`);
    assert.ok(isPoint(hex(`04${generatorX}${digitsOf(y)}`)));
  });

  for (const [name, digits] of [
    ["a point beside the curve", `04${generatorX}${generatorY.slice(0, -1)}e`],
    ["the origin", `04${zero}${zero}`],
    ["the compressed form", `03${generatorX}`],
    ["the compressed form at full length", `03${generatorX}${generatorY}`],
    ["the hybrid form", `07${generatorX}${generatorY}`],
    ["the point at infinity", "00"],
    ["nothing", ""],
    ["a point of 96 bytes", `04${generatorX}${generatorY.slice(2)}`],
    ["x = p", `04${prime}${generatorY}`],
    [
      "the generator of P-256",
      "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c2964fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5",
    ],
  ] as const) {
    it(`has not ${name}`, () => assert.ok(!isPoint(hex(digits))));
  }

  it("has no point with a coordinate of p or more, though the equation holds modulo p", () => {
    const p = BigInt(`0x${prime}`);
    const [x, y] = smallPoint(p);
    assert.ok(isPoint(hex(`04${digitsOf(x)}${digitsOf(y)}`)));
    assert.ok(!isPoint(hex(`04${digitsOf(x + p)}${digitsOf(y)}`)));
    assert.ok(isPoint(hex(`04${xOfOne}${digitsOf(1n)}`)));
    assert.ok(!isPoint(hex(`04${xOfOne}${digitsOf(1n + p)}`)));
  });
});

describe("scalars of P-384", () => {
  it("has 1 and n - 1", () => {
    assert.ok(isScalar(hex(digitsOf(1n))));
    assert.ok(isScalar(hex(digitsOf(BigInt(`0x${order}`) - 1n))));
  });
  for (const [name, digits] of [
    ["0", zero],
    ["n", order],
    ["n + 1", digitsOf(BigInt(`0x${order}`) + 1n)],
    ["47 bytes", "01".repeat(47)],
    ["49 bytes", `00${digitsOf(1n)}`],
  ] as const) {
    it(`has not ${name}`, () => assert.ok(!isScalar(hex(digits))));
  }
});

/** The point with the smallest x: small enough that x + p still fits in 48 bytes. */
function smallPoint(p: bigint): readonly [bigint, bigint] {
  const b = BigInt(
    "0xb3312fa7e23ee7e4988e056be3f82d19181d9c6efe8141120314088f5013875ac656398d8a2ed19d2a85c8edd3ec2aef",
  );
  for (let x = 0n; ; x++) {
    const square = (((x * x * x - 3n * x + b) % p) + p) % p;
    // p = 3 mod 4
    const y = power(square, (p + 1n) / 4n, p);
    if ((y * y) % p === square) return [x, y];
  }
}

function power(value: bigint, exponent: bigint, modulus: bigint): bigint {
  let result = 1n;
  for (let square = value; exponent > 0n; exponent >>= 1n) {
    if ((exponent & 1n) === 1n) result = (result * square) % modulus;
    square = (square * square) % modulus;
  }
  return result;
}
