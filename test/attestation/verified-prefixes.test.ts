import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { VerifiedPrefixes, verifiedPrefixes } from "../../attestation/verified-prefixes.ts";
import { nodeBackend } from "../../crypto/node.ts";
import { portableBackend } from "../../crypto/portable.ts";

const prefix = (...bytes: readonly number[]) => bytes.map((byte) => Uint8Array.of(byte));

describe("verified prefixes", () => {
  it("are recalled by every byte of them and by nothing else", () => {
    const prefixes = new VerifiedPrefixes(nodeBackend);
    const certificates = [] as const;
    prefixes.remember(prefix(1, 2), certificates);
    assert.equal(prefixes.recall(prefix(1, 2)), certificates);
    for (const other of [prefix(1), prefix(2), prefix(2, 1), prefix(1, 2, 3), prefix(1, 3), []]) {
      assert.equal(prefixes.recall(other), undefined);
    }
    // The same bytes, cut elsewhere.
    assert.equal(prefixes.recall([Uint8Array.of(1, 2)]), undefined);
  });

  it("are at most 64, and the least recently used goes first", () => {
    const prefixes = new VerifiedPrefixes(nodeBackend);
    for (let i = 0; i < 64; i++) prefixes.remember(prefix(i), []);
    assert.ok(prefixes.recall(prefix(0)) !== undefined);
    prefixes.remember(prefix(64), []);
    assert.equal(prefixes.size, 64);
    assert.ok(prefixes.recall(prefix(0)) !== undefined);
    assert.equal(prefixes.recall(prefix(1)), undefined);
    assert.ok(prefixes.recall(prefix(2)) !== undefined);
  });

  it("count once when they are remembered twice", () => {
    const prefixes = new VerifiedPrefixes(nodeBackend);
    prefixes.remember(prefix(1), []);
    prefixes.remember(prefix(1), []);
    assert.equal(prefixes.size, 1);
  });

  it("are kept apart by backend", () => {
    assert.equal(verifiedPrefixes(nodeBackend), verifiedPrefixes(nodeBackend));
    assert.notEqual(verifiedPrefixes(nodeBackend), verifiedPrefixes(portableBackend));
  });
});
