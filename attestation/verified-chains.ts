/**
 * Chains of certificates that were verified before (docs/protocol.md §A.6). Most of the work on a
 * document is their signatures, and a relying party meets the same few chains for hours.
 */

import type { CryptoBackend } from "../crypto/backend.ts";
import { encodeHex } from "./bytes.ts";
import type { Certificate } from "./certificate.ts";

const maxChains = 64;

/**
 * A bounded memory of chains, each from the root down, that one backend verified.
 *
 * Invariant: the key covers every byte of the chain, the root included, so a chain is recalled only
 * under the root that it was verified under. Nothing about time is remembered: whoever recalls a
 * chain checks every validity again.
 */
export class VerifiedChains {
  readonly #backend: CryptoBackend;
  /** Least recently used first. */
  readonly #chains = new Map<string, readonly Certificate[]>();

  constructor(backend: CryptoBackend) {
    this.#backend = backend;
  }

  get size(): number {
    return this.#chains.size;
  }

  /**
   * The certificates of a chain that is remembered, or what `verify` makes of it, which is remembered
   * then. What it throws leaves nothing behind; the least recently used chain makes room.
   */
  recall(
    encodings: readonly Uint8Array[],
    verify: () => readonly Certificate[],
  ): readonly Certificate[] {
    const key = this.#keyOf(encodings);
    const certificates = this.#chains.get(key) ?? verify();
    this.#chains.delete(key);
    this.#chains.set(key, certificates);
    for (const [oldest] of this.#chains) {
      if (this.#chains.size <= maxChains) break;
      this.#chains.delete(oldest);
    }
    return certificates;
  }

  #keyOf(encodings: readonly Uint8Array[]): string {
    // key = SHA-384(len(cert_0) || cert_0 || len(cert_1) || ...), lengths in two bytes
    const bytes = new Uint8Array(encodings.reduce((sum, { length }) => sum + 2 + length, 0));
    let at = 0;
    for (const encoding of encodings) {
      bytes[at] = encoding.length >> 8;
      bytes[at + 1] = encoding.length;
      bytes.set(encoding, at + 2);
      at += 2 + encoding.length;
    }
    return encodeHex(this.#backend.hash("sha384", bytes));
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
    memory = {
      authorities: new VerifiedChains(backend),
      complete: new VerifiedChains(backend),
    };
    perBackend.set(backend, memory);
  }
  return memory;
}
