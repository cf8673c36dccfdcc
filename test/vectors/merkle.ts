/** merkle.json: leaves, root and paths of batches. */
import { helloLeaf, MerkleTree } from "../../channel/merkle-tree.ts";
import { nodeBackend } from "../../crypto/node.ts";
import { seededBytes } from "../support/seeded-backend.ts";
import type { VectorFile } from "./vector-file.ts";

export function merkleVectors(): VectorFile {
  const randomBytes = seededBytes(nodeBackend, "merkle");
  const cases = [1, 2, 3, 5].map((size) => {
    const hellos = Array.from({ length: size }, () =>
      Uint8Array.of(0x08, 1, 0x12, 32, ...randomBytes(32)),
    );
    const leaves = hellos.map((hello) => helloLeaf(nodeBackend, hello));
    const tree = new MerkleTree(nodeBackend, leaves);
    const paths = leaves.map((_, i) => tree.path(i));
    return { name: `a batch of ${size}`, expect: "ok", hellos, leaves, root: tree.root, paths };
  });
  return {
    description: "The Merkle tree over the client_hello of a batch, in batch order",
    spec: "§6",
    cases,
  };
}
