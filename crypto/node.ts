/**
 * The backend on node:crypto. Keys of ciphers become KeyObjects at once; those of HMACs do not, for
 * they serve once and making one costs half an HMAC. Results are plain `Uint8Array`, never
 * `Buffer`, whose `slice` would alias.
 */
import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  diffieHellman,
  generateKeyPairSync,
  hash,
  randomFillSync,
  verify,
  type CipherGCMTypes,
  type JsonWebKey,
  type KeyObject,
} from "node:crypto";
import {
  TAG_BYTES,
  type Aead,
  type AeadName,
  requireSealedLength,
  type CryptoBackend,
  type X25519KeyPair,
} from "./backend.ts";

import { allocate, release } from "./node-memory.ts";

const OPENSSL_NAMES = {
  "AES-256-GCM": "aes-256-gcm",
  // The types know this name for one overload only; both ciphers take the same options.
  "ChaCha20-Poly1305": "chacha20-poly1305" as CipherGCMTypes,
} as const satisfies Record<AeadName, string>;
const AEAD_OPTIONS = { authTagLength: TAG_BYTES };
const HASH_BYTES = 32;

/** node:crypto behind the project's interface. */
export const nodeBackend: CryptoBackend = {
  name: "node",

  randomBytes: (length) => randomFillSync(new Uint8Array(length)),

  allocate,
  release,

  hash: (name, data) => plain(hash(name, data, "buffer")),

  hkdfExtract: (salt, ikm) => hmac(salt, ikm),

  hkdfExpand(prk, info, length) {
    if (prk.length < HASH_BYTES) throw new RangeError("HKDF-Expand needs a key of 32 bytes");
    if (length > 255 * HASH_BYTES) throw new RangeError("HKDF-Expand gives at most 8,160 bytes");
    const okm = new Uint8Array(length);
    // T(n) = HMAC(prk, T(n-1) ‖ info ‖ n), where T(0) is empty
    const input = new Uint8Array(HASH_BYTES + info.length + 1);
    input.set(info, HASH_BYTES);
    for (let at = 0, counter = 1; at < length; at += HASH_BYTES, counter++) {
      input[input.length - 1] = counter;
      const block = hmac(prk, counter === 1 ? input.subarray(HASH_BYTES) : input);
      input.set(block);
      okm.set(block.subarray(0, length - at), at);
      block.fill(0);
    }
    input.fill(0);
    return okm;
  },

  x25519(privateKey) {
    if (privateKey === undefined) return generateX25519();
    const key = importX25519Private(privateKey);
    return new NodeX25519KeyPair(key, createPublicKey(key).export({ format: "jwk" }));
  },

  aead: (name, key) => new NodeAead(name, key),

  verifyP384(publicKey, message, signature) {
    if (publicKey.length !== 97 || publicKey[0] !== 0x04 || signature.length !== 96) return false;
    try {
      const key = importP384(publicKey);
      return verify("sha384", message, { key, dsaEncoding: "ieee-p1363" }, signature);
    } catch {
      return false;
    }
  },
};

class NodeAead implements Aead {
  readonly #name: CipherGCMTypes;
  #key: KeyObject | undefined;

  constructor(name: AeadName, key: Uint8Array) {
    if (key.length !== 32) throw new RangeError(`an AEAD key has 32 bytes, not ${key.length}`);
    this.#name = OPENSSL_NAMES[name];
    this.#key = createSecretKey(key);
  }

  seal(nonce: Uint8Array, plaintext: Uint8Array, sealed: Uint8Array, aad?: Uint8Array): void {
    requireSealedLength(plaintext, sealed);
    const cipher = createCipheriv(this.#name, alive(this.#key), nonce, AEAD_OPTIONS);
    if (aad !== undefined) cipher.setAAD(aad);
    const ciphertext = cipher.update(plaintext);
    sealed.set(ciphertext);
    release(ciphertext);
    cipher.final();
    sealed.set(cipher.getAuthTag(), plaintext.length);
  }

  open(nonce: Uint8Array, sealed: Uint8Array, aad?: Uint8Array): Uint8Array | undefined {
    const end = sealed.length - TAG_BYTES;
    const key = alive(this.#key);
    if (end < 0) return undefined;
    const decipher = createDecipheriv(this.#name, key, nonce, AEAD_OPTIONS);
    if (aad !== undefined) decipher.setAAD(aad);
    decipher.setAuthTag(sealed.subarray(end));
    const plaintext = decipher.update(sealed.subarray(0, end));
    try {
      decipher.final();
    } catch {
      plaintext.fill(0);
      return undefined;
    }
    return plain(plaintext);
  }

  destroy(): void {
    this.#key = undefined;
  }
}

class NodeX25519KeyPair implements X25519KeyPair {
  readonly publicKey: Uint8Array;
  #privateKey: KeyObject | undefined;

  constructor(privateKey: KeyObject, { x = "" }: JsonWebKey) {
    this.#privateKey = privateKey;
    this.publicKey = plain(Buffer.from(x, "base64url"));
  }

  diffieHellman(peerPublicKey: Uint8Array): Uint8Array | undefined {
    const privateKey = alive(this.#privateKey);
    if (peerPublicKey.length !== 32) return undefined;
    try {
      const publicKey = importX25519Public(peerPublicKey);
      const shared = plain(diffieHellman({ privateKey, publicKey }));
      return shared.every((byte) => byte === 0) ? undefined : shared;
    } catch {
      // OpenSSL itself refuses an all-zero result.
      return undefined;
    }
  }

  destroy(): void {
    this.#privateKey = undefined;
  }
}

/** SubjectPublicKeyInfo of an uncompressed P-384 point, up to the point (RFC 5480 §2). */
const P384_SPKI = fromHex("3076301006072a8648ce3d020106052b81040022036200");
/** PrivateKeyInfo of an X25519 key, up to the key (RFC 8410 §7). */
const X25519_PKCS8 = fromHex("302e020100300506032b656e04220420");

/**
 * Invariant: a generated key is exported by what generates it, never afterwards. Node holds the key's
 * lock while it makes the strings of a JWK. Garbage collection may run there and free the job that
 * generated the key, which takes the same lock: the process stands still for ever, once in some ten
 * thousand times on Node 20. Here the job is not garbage yet.
 */
function generateX25519(): X25519KeyPair {
  const encodings = { publicKeyEncoding: { format: "jwk" } };
  // The types do not know that one of the two may be encoded, nor this format.
  const pair: { privateKey: KeyObject; publicKey: unknown } = generateKeyPairSync(
    "x25519",
    encodings as object,
  );
  return new NodeX25519KeyPair(pair.privateKey, pair.publicKey as JsonWebKey);
}

/** A JWK imports an X25519 public key in a tenth of the time that DER takes. */
function importX25519Public(publicKey: Uint8Array): KeyObject {
  const x = Buffer.from(publicKey).toString("base64url");
  return createPublicKey({ key: { kty: "OKP", crv: "X25519", x }, format: "jwk" });
}

/** By the array that they came in: the keys of authorities are kept, and meet many signatures. */
const p384Keys = new WeakMap<Uint8Array, KeyObject>();

/** Importing a key, and using it for the first time, takes a quarter of the time of a verification. */
function importP384(publicKey: Uint8Array): KeyObject {
  let key = p384Keys.get(publicKey);
  if (key === undefined) {
    key = createPublicKey({ key: join(P384_SPKI, publicKey), format: "der", type: "spki" });
    p384Keys.set(publicKey, key);
  }
  return key;
}

function importX25519Private(privateKey: Uint8Array): KeyObject {
  if (privateKey.length !== 32) throw new RangeError("an X25519 private key has 32 bytes");
  const der = join(X25519_PKCS8, privateKey);
  const key = createPrivateKey({ key: der, format: "der", type: "pkcs8" });
  der.fill(0);
  return key;
}

function hmac(key: Uint8Array, data: Uint8Array): Uint8Array {
  return plain(createHmac("sha256", key).update(data).digest());
}

function alive(key: KeyObject | undefined): KeyObject {
  if (key === undefined) throw new TypeError("the key was destroyed");
  return key;
}

function join(head: Uint8Array, tail: Uint8Array): Buffer {
  const all = Buffer.alloc(head.length + tail.length);
  all.set(head);
  all.set(tail, head.length);
  return all;
}

function fromHex(hex: string): Uint8Array {
  return plain(Buffer.from(hex, "hex"));
}

function plain(buffer: Buffer): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length);
}
