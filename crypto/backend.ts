/**
 * What the project needs of cryptography: one small, synchronous interface with two
 * implementations, `node.ts` (node:crypto) and `portable.ts` (noble). Nothing outside this folder
 * names a library. All byte strings are `Uint8Array`; a result never aliases an argument.
 */

/** Hash functions, by their RFC 6234 names. */
type HashName = "sha256" | "sha384";

/** AEADs, by their IANA names. Both take 32-byte keys, 12-byte nonces and give 16-byte tags. */
export type AeadName = "AES-256-GCM" | "ChaCha20-Poly1305";

/** Bytes that an AEAD adds. */
export const TAG_BYTES = 16;

/** One AEAD under one key. The caller never uses a nonce twice. */
export interface Aead {
  /**
   * Seals `plaintext` into `sealed`, which is `TAG_BYTES` longer: ciphertext, then the tag. Where the
   * bytes go is the caller's, because a record has more around it and its array may serve again.
   */
  seal(nonce: Uint8Array, plaintext: Uint8Array, sealed: Uint8Array, aad?: Uint8Array): void;
  /** Opens ciphertext and tag into a fresh array, or gives `undefined` if they do not authenticate. */
  open(nonce: Uint8Array, sealed: Uint8Array, aad?: Uint8Array): Uint8Array | undefined;
  /** Drops the key: later calls throw. */
  destroy(): void;
}

/** An X25519 key pair (RFC 7748). */
export interface X25519KeyPair {
  /** 32 bytes, little endian u-coordinate. */
  readonly publicKey: Uint8Array;
  /** The raw shared secret, or `undefined` when it is all zero (RFC 9180 §7.1.4) or the peer's key is malformed. */
  diffieHellman(peerPublicKey: Uint8Array): Uint8Array | undefined;
  /** Drops the private key: later calls throw. */
  destroy(): void;
}

/** See the file header. Secrets go in and come out as plain arrays, which the caller fills with zero. */
export interface CryptoBackend {
  readonly name: "node" | "portable";
  randomBytes(length: number): Uint8Array;
  /** An array of any content, perhaps of what was freed before, for whoever overwrites all of it. */
  allocate(length: number): Uint8Array;
  /**
   * Frees an array that is dead, sooner than a garbage collector would. To be called by whoever holds
   * the only view of all its memory; the array may be empty afterwards.
   */
  release(bytes: Uint8Array): void;
  hash(name: HashName, data: Uint8Array): Uint8Array;
  /** HKDF-SHA256 (RFC 5869): 32 bytes. */
  hkdfExtract(salt: Uint8Array, ikm: Uint8Array): Uint8Array;
  hkdfExpand(prk: Uint8Array, info: Uint8Array, length: number): Uint8Array;
  /** A fresh pair, or the pair of a given 32-byte private key (vectors). */
  x25519(privateKey?: Uint8Array): X25519KeyPair;
  aead(name: AeadName, key: Uint8Array): Aead;
  /**
   * ECDSA on P-384 with SHA-384. `publicKey` is an uncompressed point of 97 bytes; `signature` is
   * r ‖ s, 96 bytes. High-S is accepted: half of all genuine signatures have it. False, never a
   * throw, for anything malformed, a point off the curve included. The bytes of `publicKey` must
   * never change: a backend may keep what it makes of the array.
   */
  verifyP384(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean;
}

/** @throws RangeError unless `sealed` has room for the ciphertext of `plaintext` and the tag, and no more. */
export function requireSealedLength(plaintext: Uint8Array, sealed: Uint8Array): void {
  if (sealed.length !== plaintext.length + TAG_BYTES) {
    throw new RangeError(
      `${plaintext.length} bytes are sealed into ${plaintext.length + TAG_BYTES}, not ${sealed.length}`,
    );
  }
}
