import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { helloLeaf, merkleNode, merkleRoot, MerkleTree } from "../../channel/merkle-tree.ts";
import { nodeBackend } from "../../crypto/node.ts";

const zero = new Uint8Array(32);
const leaf = (i: number): Uint8Array => helloLeaf(nodeBackend, Uint8Array.of(i >> 8, i));
const node = (left: Uint8Array, right: Uint8Array): Uint8Array =>
  merkleNode(nodeBackend, left, right);
const treeOf = (size: number): MerkleTree =>
  new MerkleTree(
    nodeBackend,
    Array.from({ length: size }, (_, i) => leaf(i)),
  );

describe("the Merkle tree of a batch", () => {
  it("of one hello is its leaf, with an empty path", () => {
    const tree = treeOf(1);
    assert.deepEqual(tree.root, leaf(0));
    assert.deepEqual(tree.path(0), []);
  });

  it("of three hellos has zeros for the neighbour that is missing", () => {
    const tree = treeOf(3);
    const left = node(leaf(0), leaf(1));
    const right = node(leaf(2), zero);
    assert.deepEqual(tree.root, node(left, right));
    assert.deepEqual(tree.path(0), [leaf(1), right]);
    assert.deepEqual(tree.path(1), [leaf(0), right]);
    assert.deepEqual(tree.path(2), [zero, left]);
  });

  it("of five hellos has zeros at two levels", () => {
    const tree = treeOf(5);
    const left = node(node(leaf(0), leaf(1)), node(leaf(2), leaf(3)));
    assert.deepEqual(tree.root, node(left, node(node(leaf(4), zero), zero)));
    assert.deepEqual(tree.path(4), [zero, zero, left]);
  });

  it("leads from every leaf to the root, in batches of any size", () => {
    for (const size of [1, 2, 3, 4, 5, 6, 7, 8, 9, 15, 16, 17, 100, 1023, 1024]) {
      const tree = treeOf(size);
      for (let i = 0; i < size; i += size < 20 ? 1 : 37) {
        const path = tree.path(i);
        assert.equal(path.length, Math.ceil(Math.log2(size)));
        assert.deepEqual(merkleRoot(nodeBackend, leaf(i), path, i), tree.root);
      }
    }
  });

  it("leads to another root from another leaf or another place", () => {
    const tree = treeOf(4);
    assert.notDeepEqual(merkleRoot(nodeBackend, leaf(9), tree.path(1), 1), tree.root);
    assert.notDeepEqual(merkleRoot(nodeBackend, leaf(1), tree.path(1), 0), tree.root);
  });

  it("keeps leaves and inner nodes apart", () => {
    const inner = new Uint8Array([...leaf(0), ...leaf(1)]);
    assert.notDeepEqual(helloLeaf(nodeBackend, inner), node(leaf(0), leaf(1)));
  });

  it("has at least one leaf", () => {
    assert.throws(() => treeOf(0), RangeError);
  });
});
