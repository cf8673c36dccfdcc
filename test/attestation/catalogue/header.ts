/** Group hdr: another protected header, honestly signed over. */
import {
  array,
  bytes,
  float,
  hex,
  indefinite,
  join,
  map,
  negative,
  text,
  uint,
} from "../../support/raw-cbor.ts";
import {
  envelopeOf,
  ES384,
  fieldsOf,
  itemsOf,
  payloadOf,
  type SignatureOptions,
} from "../../support/test-document.ts";
import type { Attack } from "./attack.ts";

const payload = payloadOf(fieldsOf());
const ALG = uint(1);
/** -35, -7 and -36: ES384, ES256, ES512. */
const [es384, es256, es512] = [negative(34), negative(6), negative(35)];

function signed(
  name: string,
  protectedHeader: Uint8Array,
  { unprotected = hex("a0"), ...options }: SignatureOptions & { unprotected?: Uint8Array } = {},
): Attack {
  return {
    name,
    verdict: "malformed-evidence",
    evidence: () =>
      envelopeOf({ ...itemsOf(payload, { ...options, protectedHeader }), unprotected }),
  };
}

export const header: readonly Attack[] = [
  signed("hdr-es256-with-p384-key", map([[ALG, es256]]), { hash: "sha256" }),
  signed("hdr-es512-with-p384-key", map([[ALG, es512]]), { hash: "sha512" }),
  signed("hdr-es256-with-sha384", map([[ALG, es256]])),
  signed("hdr-alg-text", map([[ALG, text("ES384")]])),
  signed("hdr-alg-label-text", map([[text("alg"), es384]])),
  signed("hdr-empty-alg-unprotected", new Uint8Array(), { unprotected: ES384 }),
  signed("hdr-empty-map-alg-unprotected", hex("a0"), { unprotected: ES384 }),
  signed("hdr-no-alg", hex("a0")),
  signed("hdr-no-header", new Uint8Array()),
  signed(
    "hdr-alg-twice",
    map([
      [ALG, es384],
      [ALG, es384],
    ]),
  ),
  signed(
    "hdr-alg-twice-other-first",
    map([
      [ALG, es256],
      [ALG, es384],
    ]),
  ),
  signed(
    "hdr-crit-unknown",
    map([
      [ALG, es384],
      [uint(2), array([uint(99)])],
      [uint(99), uint(0)],
    ]),
  ),
  signed(
    "hdr-extra-parameter",
    map([
      [ALG, es384],
      [uint(4), bytes(Uint8Array.of(1))],
    ]),
  ),
  signed("hdr-trailing-byte", join(ES384, hex("00"))),
  signed("hdr-long-form-map", map([[ALG, es384]], { width: 1 })),
  signed("hdr-long-form-label", map([[uint(1, 1), es384]])),
  signed("hdr-long-form-alg", map([[ALG, hex("390022")]])),
  signed("hdr-indefinite-map", indefinite("map", [ALG, es384])),
  signed("hdr-array", array([ALG, es384])),
  signed("hdr-alg-float", map([[ALG, float(-35)]])),
  signed("hdr-alg-null", map([[ALG, hex("f6")]])),
];
