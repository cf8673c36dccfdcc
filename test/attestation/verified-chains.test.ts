import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Certificate } from "../../attestation/certificate.ts";
import { chainKey, chainMemory, VerifiedChains } from "../../attestation/verified-chains.ts";
import { nodeBackend } from "../../crypto/node.ts";
import { portableBackend } from "../../crypto/portable.ts";

/** Recalls a chain whose certificates have one byte each; true if it had to be verified. */
function verifies(chains: VerifiedChains, ...bytes: readonly number[]): boolean {
  let verified = false;
  const certificates = chains.recall(
    chainKey(
      nodeBackend,
      bytes.map((byte) => Uint8Array.of(byte)),
    ),
    () => {
      verified = true;
      return bytes.map((byte) => ({ serialNumber: Uint8Array.of(byte) }) as Certificate);
    },
  );
  assert.deepEqual(
    certificates.map(({ serialNumber }) => serialNumber[0]),
    bytes,
  );
  return verified;
}

describe("verified chains", () => {
  it("are recalled by every byte of them and by nothing else", () => {
    const chains = new VerifiedChains();
    assert.ok(verifies(chains, 1, 2));
    assert.ok(!verifies(chains, 1, 2));
    for (const other of [[1], [2], [2, 1], [1, 2, 3], [1, 3], []]) {
      assert.ok(verifies(chains, ...other));
    }
    // The same bytes, cut elsewhere.
    const nothing: readonly Certificate[] = [];
    assert.equal(
      chains.recall(chainKey(nodeBackend, [Uint8Array.of(1, 2)]), () => nothing),
      nothing,
    );
  });

  it("are at most 64, and the least recently used goes first", () => {
    const chains = new VerifiedChains();
    for (let i = 0; i < 64; i++) verifies(chains, i);
    assert.ok(!verifies(chains, 0));
    assert.ok(verifies(chains, 64));
    assert.equal(chains.size, 64);
    assert.ok(!verifies(chains, 0));
    assert.ok(!verifies(chains, 2));
    assert.ok(verifies(chains, 1));
  });

  it("are not remembered when they do not verify", () => {
    const chains = new VerifiedChains();
    const refuse = (): never => {
      throw new RangeError("forged");
    };
    assert.throws(
      () => chains.recall(chainKey(nodeBackend, [Uint8Array.of(1)]), refuse),
      RangeError,
    );
    assert.equal(chains.size, 0);
    assert.ok(verifies(chains, 1));
  });

  it("are kept apart by backend, and authorities from complete chains", () => {
    const memory = chainMemory(nodeBackend);
    assert.equal(memory, chainMemory(nodeBackend));
    assert.notEqual(memory, chainMemory(portableBackend));
    assert.notEqual(memory.authorities, memory.complete);
  });
});
