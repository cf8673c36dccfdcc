/**
 * Chains of certificates that were verified before (docs/protocol.md §A.6). Most of the work on a
 * document is their signatures, and a relying party meets the same few chains for hours.
 */

import type { CryptoBackend } from "../crypto/backend.ts";
import { encodeHex } from "./bytes.ts";
import type { Certificate } from "./certificate.ts";

const maxChains = 64;

/**
 * What tells a chain from all others: SHA-384(len(cert_0) || cert_0 || len(cert_1) || ...), lengths in
 * two bytes. The key of a part may stand for the part.
 */
export function chainKey(backend: CryptoBackend, encodings: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(encodings.reduce((sum, { length }) => sum + 2 + length, 0));
  let at = 0;
  for (const encoding of encodings) {
    bytes[at] = encoding.length >> 8;
    bytes[at + 1] = encoding.length;
    bytes.set(encoding, at + 2);
    at += 2 + encoding.length;
  }
  return backend.hash("sha384", bytes);
}

/**
 * A bounded memory of chains, each from the root down, that one backend verified.
 *
 * Invariant: the key covers every byte of the chain, the root included, so a chain is recalled only
 * under the root that it was verified under. Nothing about time is remembered: whoever recalls a
 * chain checks every validity again.
 */
export class VerifiedChains {
  /** Least recently used first. */
  readonly #chains = new Map<string, readonly Certificate[]>();

  get size(): number {
    return this.#chains.size;
  }

  /**
   * The certificates of the chain with a key, if they are remembered, or what `verify` makes of it, which is remembered
   * then. What it throws leaves nothing behind; the least recently used chain makes room.
   */
  recall(key: Uint8Array, verify: () => readonly Certificate[]): readonly Certificate[] {
    const name = encodeHex(key);
    const certificates = this.#chains.get(name) ?? verify();
    this.#chains.delete(name);
    this.#chains.set(name, certificates);
    for (const [oldest] of this.#chains) {
      if (this.#chains.size <= maxChains) break;
      this.#chains.delete(oldest);
    }
    return certificates;
  }
}

/**
 * What one backend verified.
 *
 * Invariant: the two are apart. The last certificate of a complete chain passed the checks of a leaf
 * only; taken for an authority, it could sign documents of any enclave.
 */
export interface ChainMemory {
  /** The root and the authorities below it, each fit to sign certificates. */
  readonly authorities: VerifiedChains;
  /** The same and a leaf. */
  readonly complete: VerifiedChains;
}

const perBackend = new WeakMap<CryptoBackend, ChainMemory>();

/** The memory of this process for a backend: what one backend verified proves nothing of another. */
export function chainMemory(backend: CryptoBackend): ChainMemory {
  let memory = perBackend.get(backend);
  if (memory === undefined) {
    memory = { authorities: new VerifiedChains(), complete: new VerifiedChains() };
    perBackend.set(backend, memory);
  }
  return memory;
}
