import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Certificate } from "../../attestation/certificate.ts";
import { chainMemory, VerifiedChains } from "../../attestation/verified-chains.ts";
import { nodeBackend } from "../../crypto/node.ts";
import { portableBackend } from "../../crypto/portable.ts";

/** Certificates of one byte each. */
const chain = (...bytes: readonly number[]) =>
  bytes.map((byte) => ({ encoding: Uint8Array.of(byte) }) as Certificate);
const encodings = (...bytes: readonly number[]) => bytes.map((byte) => Uint8Array.of(byte));

describe("verified chains", () => {
  it("are recalled by every byte of them and by nothing else", () => {
    const chains = new VerifiedChains(nodeBackend);
    const certificates = chain(1, 2);
    chains.remember(certificates);
    assert.equal(chains.recall(encodings(1, 2)), certificates);
    for (const other of [[1], [2], [2, 1], [1, 2, 3], [1, 3], []]) {
      assert.equal(chains.recall(encodings(...other)), undefined);
    }
    // The same bytes, cut elsewhere.
    assert.equal(chains.recall([Uint8Array.of(1, 2)]), undefined);
  });

  it("are at most 64, and the least recently used goes first", () => {
    const chains = new VerifiedChains(nodeBackend);
    for (let i = 0; i < 64; i++) chains.remember(chain(i));
    assert.ok(chains.recall(encodings(0)) !== undefined);
    chains.remember(chain(64));
    assert.equal(chains.size, 64);
    assert.ok(chains.recall(encodings(0)) !== undefined);
    assert.equal(chains.recall(encodings(1)), undefined);
    assert.ok(chains.recall(encodings(2)) !== undefined);
  });

  it("count once when they are remembered twice", () => {
    const chains = new VerifiedChains(nodeBackend);
    chains.remember(chain(1));
    chains.remember(chain(1));
    assert.equal(chains.size, 1);
  });

  it("are kept apart by backend, and authorities from complete chains", () => {
    const memory = chainMemory(nodeBackend);
    assert.equal(memory, chainMemory(nodeBackend));
    assert.notEqual(memory, chainMemory(portableBackend));
    assert.notEqual(memory.authorities, memory.complete);
  });
});
