/**
 * HPKE (RFC 9180) as far as the handshake needs it: base mode, export-only, HKDF-SHA256. Nothing is
 * sealed with HPKE itself; its context gives the secrets of docs/protocol.md §2.
 */
import type { CryptoBackend, X25519KeyPair } from "../crypto/backend.ts";
import { ChannelError } from "./errors.ts";
import { ascii, concat, u16 } from "./notation.ts";
import type { Suite } from "./suite.ts";

const VERSION = ascii("HPKE-v1");
const KDF_HKDF_SHA256 = u16(0x0001);
const AEAD_EXPORT_ONLY = u16(0xffff);
const MODE_BASE = Uint8Array.of(0);
const NOTHING = new Uint8Array(0);

/** One side's view of an encapsulation. Both sides export the same secrets from theirs. */
export class HpkeContext {
  readonly #kdf: LabeledKdf;
  #exporterSecret: Uint8Array | undefined;

  /** KeySchedule of RFC 9180 §5.1. Fills `sharedSecret` with zero. */
  constructor(backend: CryptoBackend, suite: Suite, sharedSecret: Uint8Array, info: Uint8Array) {
    const id = concat(ascii("HPKE"), u16(suite.kemId), KDF_HKDF_SHA256, AEAD_EXPORT_ONLY);
    this.#kdf = new LabeledKdf(backend, id);
    const pskIdHash = this.#kdf.extract(NOTHING, "psk_id_hash", NOTHING);
    const infoHash = this.#kdf.extract(NOTHING, "info_hash", info);
    const secret = this.#kdf.extract(sharedSecret, "secret", NOTHING);
    const context = concat(MODE_BASE, pskIdHash, infoHash);
    this.#exporterSecret = this.#kdf.expand(secret, "exp", context, 32);
    sharedSecret.fill(0);
    secret.fill(0);
  }

  /** Context.Export of RFC 9180 §5.3. @throws TypeError after `destroy`. */
  export(exporterContext: Uint8Array, length: number): Uint8Array {
    if (this.#exporterSecret === undefined) throw new TypeError("the context was destroyed");
    return this.#kdf.expand(this.#exporterSecret, "sec", exporterContext, length);
  }

  /** Erases the secret. */
  destroy(): void {
    this.#exporterSecret?.fill(0);
    this.#exporterSecret = undefined;
  }
}

/** A key encapsulated to a peer, and the secret in it. */
export interface Encapsulated {
  readonly enc: Uint8Array;
  readonly sharedSecret: Uint8Array;
}

/**
 * Encap of RFC 9180 §4.1 for the suite's KEM.
 *
 * @throws ChannelError `malformed-handshake` for a public key that leads to an all-zero secret.
 */
export function encapsulate(
  backend: CryptoBackend,
  suite: Suite,
  publicKey: Uint8Array,
): Encapsulated {
  const ephemeral = backend.x25519();
  const enc = ephemeral.publicKey;
  const dh = ephemeral.diffieHellman(publicKey);
  ephemeral.destroy();
  return { enc, sharedSecret: extractAndExpand(backend, suite, dh, concat(enc, publicKey)) };
}

/**
 * Decap of RFC 9180 §4.1 for the suite's KEM.
 *
 * @throws ChannelError `malformed-handshake` for an `enc` that leads to an all-zero secret.
 */
export function decapsulate(
  backend: CryptoBackend,
  suite: Suite,
  keyPair: X25519KeyPair,
  enc: Uint8Array,
): Uint8Array {
  const dh = keyPair.diffieHellman(enc);
  return extractAndExpand(backend, suite, dh, concat(enc, keyPair.publicKey));
}

function extractAndExpand(
  backend: CryptoBackend,
  suite: Suite,
  dh: Uint8Array | undefined,
  kemContext: Uint8Array,
): Uint8Array {
  if (dh === undefined) {
    throw new ChannelError("malformed-handshake", "a public key that leads to no secret");
  }
  const kdf = new LabeledKdf(backend, concat(ascii("KEM"), u16(suite.kemId)));
  const eaePrk = kdf.extract(NOTHING, "eae_prk", dh);
  const sharedSecret = kdf.expand(eaePrk, "shared_secret", kemContext, 32);
  dh.fill(0);
  eaePrk.fill(0);
  return sharedSecret;
}

/** LabeledExtract and LabeledExpand of RFC 9180 §4, for one suite_id. */
class LabeledKdf {
  readonly #backend: CryptoBackend;
  readonly #prefix: Uint8Array;

  constructor(backend: CryptoBackend, suiteId: Uint8Array) {
    this.#backend = backend;
    this.#prefix = concat(VERSION, suiteId);
  }

  extract(salt: Uint8Array, label: string, ikm: Uint8Array): Uint8Array {
    const labeled = concat(this.#prefix, ascii(label), ikm);
    const prk = this.#backend.hkdfExtract(salt, labeled);
    labeled.fill(0);
    return prk;
  }

  expand(prk: Uint8Array, label: string, info: Uint8Array, length: number): Uint8Array {
    const labeled = concat(u16(length), this.#prefix, ascii(label), info);
    return this.#backend.hkdfExpand(prk, labeled, length);
  }
}
