/**
 * Chains of certificate authorities that were verified before (docs/protocol.md §A.6). Most of the work on a document is
 * their signatures, and a relying party meets the same few authorities for hours.
 */

import type { CryptoBackend } from "../crypto/backend.ts";
import { encodeHex } from "./bytes.ts";
import type { Certificate } from "./certificate.ts";

const maxPrefixes = 64;

/**
 * A bounded memory of what one backend verified: root, then each authority below it.
 *
 * Invariant: the key covers every byte of the prefix, the root included, so a prefix is recalled
 * only under the root that it was verified under. Nothing about time is remembered: whoever recalls
 * a prefix checks every validity again.
 */
export class VerifiedPrefixes {
  readonly #backend: CryptoBackend;
  /** Least recently used first. */
  readonly #prefixes = new Map<string, readonly Certificate[]>();

  constructor(backend: CryptoBackend) {
    this.#backend = backend;
  }

  get size(): number {
    return this.#prefixes.size;
  }

  /** The parsed certificates of a prefix that was remembered, or `undefined`. */
  recall(prefix: readonly Uint8Array[]): readonly Certificate[] | undefined {
    const key = this.#keyOf(prefix);
    const certificates = this.#prefixes.get(key);
    if (certificates !== undefined) this.#keep(key, certificates);
    return certificates;
  }

  /** Keeps a prefix that was verified; the least recently used one makes room. */
  remember(prefix: readonly Uint8Array[], certificates: readonly Certificate[]): void {
    this.#keep(this.#keyOf(prefix), certificates);
  }

  #keep(key: string, certificates: readonly Certificate[]): void {
    this.#prefixes.delete(key);
    this.#prefixes.set(key, certificates);
    for (const [oldest] of this.#prefixes) {
      if (this.#prefixes.size <= maxPrefixes) break;
      this.#prefixes.delete(oldest);
    }
  }

  #keyOf(prefix: readonly Uint8Array[]): string {
    // key = SHA-384(len(cert_0) || cert_0 || len(cert_1) || ...), lengths in two bytes
    const parts = prefix.flatMap((encoding) => [
      Uint8Array.of(encoding.length >> 8, encoding.length & 0xff),
      encoding,
    ]);
    return encodeHex(this.#backend.hash("sha384", ...parts));
  }
}

const perBackend = new WeakMap<CryptoBackend, VerifiedPrefixes>();

/** The memory of this process for a backend: what one backend verified proves nothing of another. */
export function verifiedPrefixes(backend: CryptoBackend): VerifiedPrefixes {
  let prefixes = perBackend.get(backend);
  if (prefixes === undefined) {
    prefixes = new VerifiedPrefixes(backend);
    perBackend.set(backend, prefixes);
  }
  return prefixes;
}
