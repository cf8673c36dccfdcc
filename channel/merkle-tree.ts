/**
 * The Merkle tree over the hellos that one document answers (docs/protocol.md §6). The enclave
 * builds it; a client only walks from its own leaf to the root.
 */
import type { CryptoBackend } from "../crypto/backend.ts";
import { concat, labeledHash } from "./notation.ts";

const LEAF = Uint8Array.of(0);
const NODE = Uint8Array.of(1);
/** Stands in for a neighbour that is missing. */
const MISSING = new Uint8Array(32);

/** leaf = SHA-256(0x00 ‖ H("sealrpc1 hello", client_hello)). */
export function helloLeaf(backend: CryptoBackend, clientHello: Uint8Array): Uint8Array {
  const hello = labeledHash(backend, "sealrpc1 hello", clientHello);
  return backend.hash("sha256", concat(LEAF, hello));
}

/** node(l, r) = SHA-256(0x01 ‖ l ‖ r). */
export function merkleNode(
  backend: CryptoBackend,
  left: Uint8Array,
  right: Uint8Array,
): Uint8Array {
  return backend.hash("sha256", concat(NODE, left, right));
}

/** The root that a leaf, its path and its position lead to. */
export function merkleRoot(
  backend: CryptoBackend,
  leaf: Uint8Array,
  path: readonly Uint8Array[],
  leafIndex: number,
): Uint8Array {
  let node = leaf;
  let index = leafIndex;
  for (const sibling of path) {
    const isRight = index % 2 === 1;
    node = isRight ? merkleNode(backend, sibling, node) : merkleNode(backend, node, sibling);
    index = Math.floor(index / 2);
  }
  return node;
}

/** The tree over a batch: its root, and the path of each leaf. */
export class MerkleTree {
  /** Level 0 is the leaves, the last is the root alone. */
  readonly #levels: Uint8Array[][] = [];
  readonly root: Uint8Array;

  /** @throws RangeError without a leaf. */
  constructor(backend: CryptoBackend, leaves: readonly Uint8Array[]) {
    let level = [...leaves];
    this.#levels.push(level);
    while (level.length > 1) {
      const below = level;
      level = Array.from({ length: Math.ceil(below.length / 2) }, (_, i) =>
        merkleNode(backend, below[2 * i] ?? MISSING, below[2 * i + 1] ?? MISSING),
      );
      this.#levels.push(level);
    }
    const [root] = level;
    if (root === undefined) throw new RangeError("a Merkle tree has at least one leaf");
    this.root = root;
  }

  /** The sibling at each level, lowest first. */
  path(leafIndex: number): Uint8Array[] {
    return this.#levels
      .slice(0, -1)
      .map((level, height) => level[Math.floor(leafIndex / 2 ** height) ^ 1] ?? MISSING);
  }
}
