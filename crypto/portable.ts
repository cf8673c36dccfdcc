/**
 * The backend on noble: pure JavaScript, for runtimes without node:crypto, and the independent twin
 * of `node.ts` in tests. Not constant time: where secrets are long-lived and an attacker can
 * measure, use the other one.
 */
import { gcm } from "@noble/ciphers/aes.js";
import { chacha20poly1305 } from "@noble/ciphers/chacha.js";
import { x25519 } from "@noble/curves/ed25519.js";
import { p384 } from "@noble/curves/nist.js";
import { expand, extract } from "@noble/hashes/hkdf.js";
import { sha256, sha384 } from "@noble/hashes/sha2.js";
import { randomBytes } from "@noble/hashes/utils.js";
import {
  TAG_BYTES,
  type Aead,
  type AeadName,
  requireSealedLength,
  type CryptoBackend,
  type X25519KeyPair,
} from "./backend.ts";

const HASHES = { sha256, sha384 };
const CIPHERS = { "AES-256-GCM": gcm, "ChaCha20-Poly1305": chacha20poly1305 };

/** noble behind the project's interface. */
export const portableBackend: CryptoBackend = {
  name: "portable",

  randomBytes: (length) => randomBytes(length),

  allocate: (length) => new Uint8Array(length),
  release: () => undefined,

  hash: (name, data) => HASHES[name](data),

  hkdfExtract: (salt, ikm) => extract(sha256, ikm, salt),

  hkdfExpand: (prk, info, length) => expand(sha256, prk, info, length),

  x25519: (privateKey) => new PortableX25519KeyPair(privateKey),

  aead: (name, key) => new PortableAead(name, key),

  verifyP384(publicKey, message, signature) {
    if (publicKey.length !== 97 || publicKey[0] !== 0x04 || signature.length !== 96) return false;
    try {
      return p384.verify(signature, message, publicKey, { lowS: false });
    } catch {
      return false;
    }
  },
};

class PortableAead implements Aead {
  readonly #name: AeadName;
  #key: Uint8Array | undefined;

  constructor(name: AeadName, key: Uint8Array) {
    if (key.length !== 32) throw new RangeError(`an AEAD key has 32 bytes, not ${key.length}`);
    this.#name = name;
    this.#key = key.slice();
  }

  seal(nonce: Uint8Array, plaintext: Uint8Array, sealed: Uint8Array, aad?: Uint8Array): void {
    requireSealedLength(plaintext, sealed);
    const cipher = CIPHERS[this.#name](alive(this.#key), nonce, aad);
    sealed.set(cipher.encrypt(plaintext));
  }

  open(nonce: Uint8Array, sealed: Uint8Array, aad?: Uint8Array): Uint8Array | undefined {
    const cipher = CIPHERS[this.#name](alive(this.#key), nonce, aad);
    if (sealed.length < TAG_BYTES) return undefined;
    try {
      return cipher.decrypt(sealed);
    } catch {
      return undefined;
    }
  }

  destroy(): void {
    this.#key?.fill(0);
    this.#key = undefined;
  }
}

class PortableX25519KeyPair implements X25519KeyPair {
  readonly publicKey: Uint8Array;
  #privateKey: Uint8Array | undefined;

  constructor(privateKey?: Uint8Array) {
    if (privateKey !== undefined && privateKey.length !== 32) {
      throw new RangeError("an X25519 private key has 32 bytes");
    }
    this.#privateKey = privateKey?.slice() ?? x25519.utils.randomSecretKey();
    this.publicKey = x25519.getPublicKey(this.#privateKey);
  }

  diffieHellman(peerPublicKey: Uint8Array): Uint8Array | undefined {
    const privateKey = alive(this.#privateKey);
    if (peerPublicKey.length !== 32) return undefined;
    try {
      const shared = x25519.getSharedSecret(privateKey, peerPublicKey);
      return shared.every((byte) => byte === 0) ? undefined : shared;
    } catch {
      // noble itself refuses an all-zero result.
      return undefined;
    }
  }

  destroy(): void {
    this.#privateKey?.fill(0);
    this.#privateKey = undefined;
  }
}

function alive(key: Uint8Array | undefined): Uint8Array {
  if (key === undefined) throw new TypeError("the key was destroyed");
  return key;
}
