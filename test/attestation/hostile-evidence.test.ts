import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { parseCertificate } from "../../attestation/certificate.ts";
import { parseEnvelope } from "../../attestation/cose.ts";
import { parseDocument } from "../../attestation/document.ts";
import { AttestationError } from "../../attestation/errors.ts";
import { Policy } from "../../attestation/policy.ts";
import { VerifiedEvidence } from "../../attestation/verified-evidence.ts";
import type { CryptoBackend } from "../../crypto/backend.ts";
import { nodeBackend } from "../../crypto/node.ts";
import { genuineEvidence } from "../support/genuine-evidence.ts";
import { rootOfSignedEvidence, signedAtMs, signedEvidence } from "../support/signed-evidence.ts";

const numRuns = Number(process.env["FUZZ_RUNS"] ?? 100);
const policy = Policy.from({
  insecureAnyMeasurement: true,
  insecureTestRoot: rootOfSignedEvidence,
});
const evidence = signedEvidence({ publicKey: new Uint8Array(32), nonce: new Uint8Array(32) });

/** Lets every signature pass, so that changed bytes reach the checks behind the signatures. */
const credulous: CryptoBackend = { ...nodeBackend, verifyP384: () => true };

/** Runs a parser on hostile bytes: it returns or throws its layer's error, and nothing else. */
function survives(parse: () => unknown): boolean {
  try {
    parse();
    return true;
  } catch (error) {
    assert.ok(error instanceof AttestationError, error instanceof Error ? error.stack : "");
    return false;
  }
}

/** Bytes with a few replaced, removed, doubled or put in. */
function mutationsOf(bytes: Uint8Array): fc.Arbitrary<Uint8Array> {
  const edit = fc.record({
    at: fc.nat(bytes.length - 1),
    removed: fc.nat(3),
    inserted: fc.oneof(
      fc.uint8Array({ maxLength: 3 }),
      fc
        .constantFrom(0x00, 0x18, 0x40, 0x80, 0x9f, 0xbf, 0xf6, 0xff, 0x30, 0x80, 0x84)
        .map((byte) => Uint8Array.of(byte)),
    ),
  });
  return fc
    .array(edit, { minLength: 1, maxLength: 4 })
    .map((edits) =>
      edits.reduce<Uint8Array>(
        (whole, { at, removed, inserted }) =>
          Uint8Array.of(...whole.subarray(0, at), ...inserted, ...whole.subarray(at + removed)),
        bytes,
      ),
    );
}

describe("hostile evidence", () => {
  it("of random bytes is refused", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        assert.ok(!survives(() => VerifiedEvidence.verify(bytes, { policy, now: signedAtMs })));
        survives(() => parseDocument(bytes));
        survives(() => parseCertificate(bytes, "certificate"));
      }),
      { numRuns },
    );
  });

  it("with any single bit changed is refused", () => {
    fc.assert(
      fc.property(fc.nat(evidence.length - 1), fc.nat(7), (at, bit) => {
        const bytes = evidence.slice();
        bytes[at]! ^= 1 << bit;
        assert.ok(!survives(() => VerifiedEvidence.verify(bytes, { policy, now: signedAtMs })));
      }),
      { numRuns },
    );
  });

  it("with a few bytes changed is refused or survived, signatures aside", () => {
    fc.assert(
      fc.property(mutationsOf(evidence), (bytes) => {
        const options = { policy, now: signedAtMs, backend: credulous };
        survives(() => VerifiedEvidence.verify(bytes, options));
      }),
      { numRuns },
    );
  });

  it("in each of its parts is refused or survived", () => {
    const sources = [evidence, ...genuineEvidence.map(({ bytes }) => bytes)];
    const { payload } = parseEnvelope(evidence);
    const { certificate, cabundle } = parseDocument(payload);
    const certificates = [certificate, ...cabundle];
    const envelope = fc.constantFrom(...sources).chain(mutationsOf);
    fc.assert(
      fc.property(
        envelope,
        mutationsOf(payload),
        fc.constantFrom(...certificates).chain(mutationsOf),
        (whole, document, der) => {
          survives(() => parseEnvelope(whole));
          survives(() => parseDocument(document));
          survives(() => parseCertificate(der, "certificate"));
        },
      ),
      { numRuns },
    );
  });

  it("claims no memory that it does not bring", () => {
    // Heads that announce up to 2^53 - 1 items or bytes, where the payload begins.
    const heads = [
      "5a7fffffff",
      "5b001fffffffffffff",
      "9a7fffffff",
      "bb001fffffffffffff",
      "ba00ffffff",
    ];
    for (const head of heads) {
      for (const prefix of ["", "a1", "bf", "a16470637273", "bf6870637273"]) {
        const payload = Buffer.from(prefix + head, "hex");
        const before = process.memoryUsage();
        assert.ok(!survives(() => parseDocument(new Uint8Array(payload))));
        const after = process.memoryUsage();
        const grown = after.arrayBuffers + after.heapTotal - before.arrayBuffers - before.heapTotal;
        assert.ok(grown < 16 * 2 ** 20, `${prefix}${head}: ${grown} bytes`);
      }
    }
  });
});
