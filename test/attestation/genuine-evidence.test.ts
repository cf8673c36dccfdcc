import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, it } from "node:test";
import { encodeHex } from "../../attestation/bytes.ts";
import { parseEnvelope } from "../../attestation/cose.ts";
import { parseDocument } from "../../attestation/document.ts";
import { Policy } from "../../attestation/policy.ts";
import { VerifiedEvidence } from "../../attestation/verified-evidence.ts";
import { nodeBackend } from "../../crypto/node.ts";
import { portableBackend } from "../../crypto/portable.ts";
import { genuineEvidence, genuineEvidenceIsAbsent } from "../support/genuine-evidence.ts";
import { hasCode } from "../support/error-code.ts";

const skip = genuineEvidenceIsAbsent;
const anyImage = Policy.from({ insecureAnyMeasurement: true });
const anyDebugImage = Policy.from({ insecureAnyMeasurement: true, insecureAllowDebug: true });

describe("genuine evidence", { skip }, () => {
  it("is all there", () => {
    const count = (kind: string) => genuineEvidence.filter((entry) => entry.kind === kind).length;
    assert.deepEqual([count("enclave"), count("enclave-debug"), count("nitrotpm")], [10, 2, 1]);
  });

  for (const entry of genuineEvidence) {
    const { name, kind, bytes, expected, region } = entry;
    const now = entry.valid_at_ms;

    if (kind === "nitrotpm") {
      it(`${name} is refused, whatever the policy`, () => {
        for (const insecureSkipInstanceBinding of [false, true]) {
          const policy = Policy.from({
            insecureAnyMeasurement: true,
            insecureAllowDebug: true,
            insecureSkipInstanceBinding,
          });
          assert.throws(
            () => VerifiedEvidence.verify(bytes, { policy, now }),
            hasCode("not-an-enclave"),
          );
        }
      });
      continue;
    }

    for (const backend of [nodeBackend, portableBackend]) {
      it(`${name} verifies at its time with the ${backend.name} backend`, () => {
        const policy = kind === "enclave" ? anyImage : anyDebugImage;
        const evidence = VerifiedEvidence.verify(bytes, { policy, now, backend });
        const { claims } = evidence;
        assert.deepEqual(claims, {
          moduleId: expected.module_id,
          instanceId: expected.module_id.split("-enc")[0],
          region,
          timestampMs: expected.timestamp_ms,
          certificateNotAfterMs: Date.parse(entry.leaf_not_after),
          pcrs: expected.pcrs,
          debug: kind === "enclave-debug",
        });
        assert.equal(hexOrNull(evidence.publicKey), expected.public_key);
        assert.equal(hexOrNull(evidence.userData), expected.user_data);
        assert.equal(hexOrNull(evidence.challenge), expected.nonce);
      });
    }

    it(`${name} carries the certificates that it should`, () => {
      const { cabundle, certificate } = parseDocument(parseEnvelope(bytes).payload);
      assert.equal(cabundle.length, expected.cabundle_count);
      const digest = createHash("sha256").update(certificate).digest("hex");
      assert.equal(digest, expected.certificate_sha256);
    });

    if (kind === "enclave-debug") {
      it(`${name} is refused where debug is not allowed`, () => {
        assert.throws(
          () => VerifiedEvidence.verify(bytes, { policy: anyImage, now }),
          hasCode("debug-enclave"),
        );
      });
      continue;
    }

    it(`${name} passes a policy with its own measurements and no other`, () => {
      const pcr = (register: number): string => expected.pcrs[register]!;
      const policy = Policy.from({
        referenceValues: [{ pcr0: pcr(0), pcr1: pcr(1), pcr2: pcr(2), pcr4: pcr(4) }],
      });
      VerifiedEvidence.verify(bytes, { policy, now });
      const other = Policy.from({ referenceValues: [{ pcr0: pcr(0), pcr1: pcr(2) }] });
      assert.throws(
        () => VerifiedEvidence.verify(bytes, { policy: other, now }),
        hasCode("measurement-mismatch"),
      );
    });
  }
});

/** One genuine production document, the newest. */
const newest = genuineEvidence.findLast(({ kind }) => kind === "enclave");

describe("genuine evidence that was changed", { skip }, () => {
  const { bytes, valid_at_ms: now, leaf_not_after, leaf_not_before, expected } = newest!;
  const refusedAt = (evidence: Uint8Array, nowMs: number, code: string, name = code) => {
    it(name, () => {
      assert.throws(
        () => VerifiedEvidence.verify(evidence, { policy: anyImage, now: nowMs }),
        hasCode(code),
      );
    });
  };
  const refused = (evidence: Uint8Array, code: string, name: string) => {
    refusedAt(evidence, now, code, name);
  };
  /** The envelope in pieces: head, payload with its head, signature with its head. */
  const payloadHead = bytes.subarray(7, 10);
  const { payload, signature } = parseEnvelope(bytes);
  const head = Uint8Array.of(0x84, 0x44, 0xa1, 0x01, 0x38, 0x22, 0xa0);
  const envelope = (...parts: Uint8Array[]) => Uint8Array.from(Buffer.concat(parts));
  const rest = envelope(payloadHead, payload, Uint8Array.of(0x58, 0x60), signature);

  it("is taken apart and put together as it was", () => {
    assert.deepEqual(envelope(head, rest), bytes);
    VerifiedEvidence.verify(bytes, { policy: anyImage, now });
  });

  it("verifies with the other signature that its key holder did not make", () => {
    const malleated = envelope(head, rest);
    const s = BigInt(`0x${encodeHex(signature.subarray(48))}`);
    const other = (orderOfP384 - s).toString(16).padStart(96, "0");
    malleated.set(Buffer.from(other, "hex"), malleated.length - 48);
    assert.notDeepEqual(malleated, bytes);
    VerifiedEvidence.verify(malleated, { policy: anyImage, now });
  });

  it("verifies with the tag of COSE_Sign1", () => {
    const tagged = envelope(Uint8Array.of(0xd2), bytes);
    VerifiedEvidence.verify(tagged, { policy: anyImage, now });
  });

  const malformed = "malformed-evidence";
  refused(envelope(bytes, Uint8Array.of(0)), malformed, "is refused with a byte behind it");
  refused(envelope(bytes, bytes), malformed, "is refused twice in a row");
  refused(bytes.subarray(0, -1), malformed, "is refused without its last byte");
  refused(
    envelope(Uint8Array.of(0xd1), bytes),
    malformed,
    "is refused with the tag of something else",
  );
  refused(
    envelope(Uint8Array.of(0xd8, 18), bytes),
    malformed,
    "is refused with its tag in the long form",
  );
  refused(
    envelope(Uint8Array.of(0x98, 4), bytes.subarray(1)),
    malformed,
    "is refused with the count of its array in the long form",
  );
  refused(
    envelope(Uint8Array.of(0x84, 0x58, 4), bytes.subarray(2)),
    malformed,
    "is refused with the length of its protected header in the long form",
  );
  refused(
    envelope(head, Uint8Array.of(0x5a, 0, 0), rest.subarray(1)),
    malformed,
    "is refused with the length of its payload in the long form",
  );
  refused(
    envelope(head, payloadHead, payload, Uint8Array.of(0x59, 0, 0x60), signature),
    malformed,
    "is refused with the length of its signature in the long form",
  );
  refused(
    envelope(head.subarray(0, 6), Uint8Array.of(0xa1, 0x04, 0x41, 0x31), rest),
    malformed,
    "is refused with a kid in its unprotected header",
  );
  refused(
    envelope(head.subarray(0, 6), Uint8Array.of(0xa1, 0x01, 0x26), rest),
    malformed,
    "is refused with an alg in its unprotected header",
  );
  refused(
    envelope(Uint8Array.of(0x85), bytes.subarray(1), Uint8Array.of(0xf6)),
    malformed,
    "is refused with a fifth element",
  );

  const changed = (offset: number) => {
    const copy = bytes.slice();
    copy[offset]! ^= 1;
    return copy;
  };
  const pcr0 = Buffer.from(expected.pcrs["0"]!, "hex");
  refused(
    changed(Buffer.from(bytes).indexOf(pcr0)),
    "bad-signature",
    "is refused with another PCR0",
  );
  const timestampAt = Buffer.from(bytes).indexOf("timestamp") + "timestamp".length + 8;
  refused(changed(timestampAt), "bad-signature", "is refused with another timestamp");
  refused(changed(bytes.length - 1), "bad-signature", "is refused with another signature");

  it("is refused with the signature or the payload of its twin, of the same enclave and leaf", () => {
    const twins = genuineEvidence.filter(({ name }) => name.startsWith("20250217-us-west-2"));
    assert.equal(twins.length, 2);
    const [a, b] = twins.map((twin) => ({ ...twin, signature: twin.bytes.slice(-96) }));
    for (const [one, other] of [
      [a!, b!],
      [b!, a!],
    ] as const) {
      const spliced = envelope(one.bytes.subarray(0, -96), other.signature);
      assert.throws(
        () => VerifiedEvidence.verify(spliced, { policy: anyImage, now: one.valid_at_ms }),
        hasCode("bad-signature"),
      );
    }
  });

  const lastMs = Date.parse(leaf_not_after);
  const firstMs = Date.parse(leaf_not_before);
  const patient = Policy.from({
    insecureAnyMeasurement: true,
    maxAgeMs: 86_400_000,
    futureSkewMs: 86_400_000,
  });
  it("verifies in the last millisecond of its leaf and is refused in the next", () => {
    VerifiedEvidence.verify(bytes, { policy: patient, now: lastMs });
    assert.throws(
      () => VerifiedEvidence.verify(bytes, { policy: patient, now: lastMs + 1 }),
      hasCode("certificate-expired"),
    );
  });
  it("verifies as early as the leeway lets it and is refused before", () => {
    VerifiedEvidence.verify(bytes, { policy: patient, now: firstMs - 60_000 });
    assert.throws(
      () => VerifiedEvidence.verify(bytes, { policy: patient, now: firstMs - 60_001 }),
      hasCode("certificate-not-yet-valid"),
    );
  });
  refusedAt(
    bytes,
    lastMs + 1000,
    "certificate-expired",
    "is refused a second after its leaf ended",
  );
  refusedAt(bytes, now - 86_400_000, "certificate-not-yet-valid", "is refused a day early");
  refusedAt(bytes, Date.now(), "certificate-expired", "is refused today");
});

const orderOfP384 = BigInt(
  "0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973",
);

function hexOrNull(bytes: Uint8Array | undefined): string | null {
  return bytes === undefined ? null : encodeHex(bytes);
}
