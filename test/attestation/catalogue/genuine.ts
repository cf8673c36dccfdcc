/** Group gen: documents that AWS hardware signed, with one thing changed. */
import { CURVE_ORDER, fixed } from "../../support/p384-numbers.ts";
import {
  genuineEvidence,
  genuineEvidenceIsAbsent,
  type GenuineEvidence,
} from "../../support/genuine-evidence.ts";
import {
  bytes,
  chunked,
  hex,
  indefinite,
  join,
  map,
  NULL,
  tag,
  text,
  uint,
} from "../../support/raw-cbor.ts";
import type { Attack } from "./attack.ts";

type Verdict = Attack["verdict"];

/** The parts of an envelope of the form that all genuine ones have. */
interface Parts {
  readonly payload: Uint8Array;
  readonly signature: Uint8Array;
}

const START = hex("84 44a1013822 a0");
const HEADER = START.slice(1, 6);
const UNPROTECTED = START.slice(6);

function partsOf(evidence: Uint8Array): Parts {
  return { payload: evidence.slice(10, -98), signature: evidence.slice(-96) };
}

const whole = ({ payload, signature }: Parts) => join(START, bytes(payload), bytes(signature));

/** Evidence made of a genuine one, judged when that one was valid, under the real root. */
function attack(
  name: string,
  verdict: Verdict,
  { bytes: evidence, expected, kind, valid_at_ms: now }: GenuineEvidence,
  change: (parts: Parts) => Uint8Array = whole,
  more: Partial<Attack> = {},
): Attack {
  const policy =
    kind === "enclave"
      ? () => ({ referenceValues: [{ pcr0: expected.pcrs["0"]! }] })
      : () => ({ insecureAnyMeasurement: true });
  return {
    name,
    verdict,
    evidence: () => change(partsOf(evidence)),
    policy,
    now,
    challenge: null,
    ...more,
  };
}

/** Changes the first occurrence of some bytes in the payload. */
function replaced(payload: Uint8Array, from: Uint8Array, to: Uint8Array): Uint8Array {
  const at = Buffer.from(payload).indexOf(from);
  if (at < 0) throw new Error("these bytes are not in the payload");
  const changed = Uint8Array.from(payload);
  changed.set(to, at);
  return changed;
}

const controls = genuineEvidence.flatMap((document) => {
  const name = document.name;
  switch (document.kind) {
    case "enclave":
      return [
        attack(`gen-control-${name}`, "accepted", document),
        attack(`gen-malleated-s-${name}`, "accepted", document, ({ payload, signature }) => {
          const s = BigInt(`0x${Buffer.from(signature.slice(48)).toString("hex")}`);
          const malleated = join(signature.slice(0, 48), fixed(CURVE_ORDER - s));
          return whole({ payload, signature: malleated });
        }),
      ];
    case "enclave-debug":
      return [
        attack(`gen-debug-${name}`, "debug-enclave", document),
        attack(`gen-debug-allowed-${name}`, "accepted", document, whole, {
          policy: () => ({ insecureAnyMeasurement: true, insecureAllowDebug: true }),
        }),
      ];
    default:
      return [
        attack(`gen-nitrotpm-${name}`, "not-an-enclave", document, whole, {
          policy: () => ({
            insecureAnyMeasurement: true,
            insecureAllowDebug: true,
            insecureSkipInstanceBinding: true,
          }),
        }),
      ];
  }
});

const malformed = "malformed-evidence";

/** Two documents of one enclave and one leaf, so that only their signatures tell them apart. */
function twins(): [GenuineEvidence, GenuineEvidence] {
  for (const first of genuineEvidence) {
    const twin = genuineEvidence.find(
      (other) =>
        other !== first && other.expected.certificate_sha256 === first.expected.certificate_sha256,
    );
    if (twin) return [first, twin];
  }
  throw new Error("the genuine evidence has no two documents of one leaf");
}

function mutations([first, second]: [GenuineEvidence, GenuineEvidence]): Attack[] {
  const { payload: otherPayload, signature: otherSignature } = partsOf(second.bytes);
  const pcr0 = hex(first.expected.pcrs["0"]!);
  const timestamp = uint(first.expected.timestamp_ms);
  const later = uint(first.expected.timestamp_ms + 1);
  const end = Date.parse(first.leaf_not_after);
  const long = {
    policy: () => ({
      referenceValues: [{ pcr0: first.expected.pcrs["0"]! }],
      maxAgeMs: 86_400_000,
    }),
  };
  return [
    attack("gen-trailing-byte", malformed, first, (parts) => join(whole(parts), hex("00"))),
    attack("gen-array-long-form", malformed, first, (parts) =>
      join(hex("9804"), whole(parts).slice(1)),
    ),
    attack("gen-array-indefinite", malformed, first, ({ payload, signature }) =>
      indefinite("array", [HEADER, UNPROTECTED, bytes(payload), bytes(signature)]),
    ),
    attack("gen-protected-long-form", malformed, first, ({ payload, signature }) =>
      join(hex("84 5804a1013822 a0"), bytes(payload), bytes(signature)),
    ),
    attack("gen-payload-long-form", malformed, first, ({ payload, signature }) =>
      join(START, bytes(payload, 4), bytes(signature)),
    ),
    attack("gen-payload-chunked", malformed, first, ({ payload, signature }) =>
      join(START, chunked(payload), bytes(signature)),
    ),
    attack("gen-signature-long-form", malformed, first, ({ payload, signature }) =>
      join(START, bytes(payload), bytes(signature, 2)),
    ),
    attack("gen-unprotected-kid", malformed, first, ({ payload, signature }) =>
      join(hex("84"), HEADER, map([[uint(4), text("kid")]]), bytes(payload), bytes(signature)),
    ),
    attack("gen-unprotected-alg", malformed, first, ({ payload, signature }) =>
      join(hex("84"), HEADER, hex("a1013822"), bytes(payload), bytes(signature)),
    ),
    attack("gen-fifth-element", malformed, first, (parts) =>
      join(hex("85"), whole(parts).slice(1), NULL),
    ),
    attack("gen-tag-18", "accepted", first, (parts) => tag(18, whole(parts))),
    attack("gen-tag-98", malformed, first, (parts) => tag(98, whole(parts))),
    attack("gen-tag-61", malformed, first, (parts) => tag(61, whole(parts))),
    attack("gen-signature-of-its-twin", "bad-signature", first, ({ payload }) =>
      whole({ payload, signature: otherSignature }),
    ),
    attack("gen-payload-of-its-twin", "bad-signature", first, ({ signature }) =>
      whole({ payload: otherPayload, signature }),
    ),
    attack("gen-pcr0-changed", "bad-signature", first, ({ payload, signature }) =>
      whole({ payload: replaced(payload, pcr0, pcr0.with(0, pcr0[0]! ^ 1)), signature }),
    ),
    attack("gen-pcr0-of-another-image", "measurement-mismatch", first, whole, {
      policy: () => ({ referenceValues: [{ pcr0: "ab".repeat(48) }] }),
    }),
    attack("gen-timestamp-changed", "bad-signature", first, ({ payload, signature }) =>
      whole({ payload: replaced(payload, timestamp, later), signature }),
    ),
    attack("gen-last-second", "accepted", first, whole, { now: end, ...long }),
    attack("gen-one-second-after-expiry", "certificate-expired", first, whole, {
      now: end + 1000,
      ...long,
    }),
    attack("gen-a-day-early", "certificate-not-yet-valid", first, whole, {
      now: first.valid_at_ms - 86_400_000,
    }),
    attack("gen-older-than-max-age", "stale-evidence", first, whole, {
      now: first.valid_at_ms + 300_001,
    }),
    attack("gen-without-a-challenge", "challenge-mismatch", first, whole, {
      challenge: new Uint8Array(32).fill(7),
    }),
  ];
}

export const genuine: readonly Attack[] = genuineEvidenceIsAbsent
  ? []
  : [...controls, ...mutations(twins())];
