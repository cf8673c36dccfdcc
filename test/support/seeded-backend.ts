/** A backend whose randomness is a fixed sequence: SHA-256 of the seed and a counter. */
import type { CryptoBackend } from "../../crypto/backend.ts";

/** A fixed sequence of bytes, taken in pieces. */
export function seededBytes(backend: CryptoBackend, seed: string): (length: number) => Uint8Array {
  let counter = 0;
  return (length) => {
    const bytes = new Uint8Array(length);
    for (let at = 0; at < length; at += 32) {
      const input = new TextEncoder().encode(`${seed} ${counter++}`);
      bytes.set(backend.hash("sha256", input).subarray(0, length - at), at);
    }
    return bytes;
  };
}

export function seededBackend(backend: CryptoBackend, seed: string): CryptoBackend {
  const randomBytes = seededBytes(backend, seed);
  return {
    ...backend,
    randomBytes,
    x25519: (privateKey) => backend.x25519(privateKey ?? randomBytes(32)),
  };
}

/** A backend whose next random bytes and key pairs are given, in this order; then it has none. */
export function scriptedBackend(
  backend: CryptoBackend,
  values: readonly Uint8Array[],
): CryptoBackend {
  const left = [...values];
  const next = (length: number): Uint8Array => {
    const value = left.shift();
    if (value?.length !== length) throw new Error(`no ${length} random bytes are left`);
    return value;
  };
  return {
    ...backend,
    randomBytes: next,
    x25519: (privateKey) => backend.x25519(privateKey ?? next(32)),
  };
}
