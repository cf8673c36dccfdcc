/**
 * From the HPKE context to keys, and from one traffic secret to the next (docs/protocol.md §2).
 * Every function gives fresh arrays, which the caller fills with zero when they are spent.
 */
import type { Aead, CryptoBackend } from "../crypto/backend.ts";
import type { HpkeContext } from "./hpke.ts";
import { ascii, concat, lengthPrefixed, u16 } from "./notation.ts";
import { suiteOf, type SuiteId } from "./suite.ts";

/** The two directions of a session: client to enclave, enclave to client. */
export type Direction = "c2s" | "s2c";

/** An AEAD under its one key, with the iv that nonces are made of. */
export interface SealingKey {
  readonly aead: Aead;
  /** 12 bytes. */
  readonly iv: Uint8Array;
}

const KEY_BYTES = 32;
/** Of an iv, and of a nonce. */
export const IV_BYTES = 12;
/** Bytes of a traffic secret and of the exporter's. */
const SECRET_BYTES = 32;

/** hs = Export("sealrpc1 hs " direction ‖ th2, 44): the key that seals one Finished message. */
export function handshakeKey(
  backend: CryptoBackend,
  suite: SuiteId,
  hpke: HpkeContext,
  direction: Direction,
  th2: Uint8Array,
): SealingKey {
  const okm = hpke.export(concat(ascii(`sealrpc1 hs ${direction}`), th2), KEY_BYTES + IV_BYTES);
  return sealingKey(backend, suite, okm);
}

/** ts[0] = Export("sealrpc1 ts " direction ‖ th4, 32). */
export function trafficSecret(
  hpke: HpkeContext,
  direction: Direction,
  th4: Uint8Array,
): Uint8Array {
  return hpke.export(concat(ascii(`sealrpc1 ts ${direction}`), th4), SECRET_BYTES);
}

/** exporter = Export("sealrpc1 exporter" ‖ th4, 32). */
export function exporterSecret(hpke: HpkeContext, th4: Uint8Array): Uint8Array {
  return hpke.export(concat(ascii("sealrpc1 exporter"), th4), SECRET_BYTES);
}

/** key ‖ iv of ts[n] = HKDF-Expand(ts[n], "sealrpc1 key", 44). */
export function trafficKey(backend: CryptoBackend, suite: SuiteId, secret: Uint8Array): SealingKey {
  const okm = backend.hkdfExpand(secret, ascii("sealrpc1 key"), KEY_BYTES + IV_BYTES);
  return sealingKey(backend, suite, okm);
}

/** ts[n+1] = HKDF-Expand(ts[n], "sealrpc1 update", 32). */
export function nextTrafficSecret(backend: CryptoBackend, secret: Uint8Array): Uint8Array {
  return backend.hkdfExpand(secret, ascii("sealrpc1 update"), SECRET_BYTES);
}

/**
 * iv ⊕ (0^4 ‖ u64(counter)): the nonce of a record, written into `nonce`. `counter` is a safe integer.
 * The array may serve again: what goes into node:crypto for the first time costs some more.
 */
export function recordNonce(
  iv: Uint8Array,
  counter: number,
  nonce: Uint8Array = new Uint8Array(IV_BYTES),
): Uint8Array {
  nonce.set(iv);
  for (let at = IV_BYTES, rest = counter; rest > 0; rest = Math.floor(rest / 256)) {
    at--;
    nonce[at] = (nonce[at] ?? 0) ^ (rest % 256);
  }
  return nonce;
}

/**
 * A key for the application, the same at both ends of a session and in no other session:
 * HKDF-Expand(exporter, LP(label) ‖ LP(context) ‖ u16(length), length).
 *
 * @throws RangeError unless 1 <= length <= 8,160.
 */
export function exportKey(
  backend: CryptoBackend,
  exporter: Uint8Array,
  label: Uint8Array,
  context: Uint8Array,
  length: number,
): Uint8Array {
  if (!Number.isInteger(length) || length < 1 || length > 255 * 32) {
    throw new RangeError(`an exported key has 1 to 8160 bytes, not ${length}`);
  }
  const info = concat(lengthPrefixed(label), lengthPrefixed(context), u16(length));
  return backend.hkdfExpand(exporter, info, length);
}

function sealingKey(backend: CryptoBackend, suite: SuiteId, okm: Uint8Array): SealingKey {
  const aead = backend.aead(suiteOf(suite).aead, okm.subarray(0, KEY_BYTES));
  const iv = okm.slice(KEY_BYTES);
  okm.fill(0);
  return { aead, iv };
}
