/** Group ch, third part: certificates with another signature algorithm or another signature. */
import { certificateBytes } from "../../support/certificate-surgery.ts";
import { CURVE_ORDER } from "../../support/p384-numbers.ts";
import { hex, join } from "../../support/raw-cbor.ts";
import { BIT_STRING, children, contentOf, der, SEQUENCE } from "../../support/raw-der.ts";
import {
  algorithm,
  ecdsaWithSha256,
  ecdsaWithSha384,
  ecdsaWithSha512,
  type Edit,
  keyOf,
  type Level,
  LEVELS,
  signedBy,
  type Template,
} from "../../support/test-pki.ts";
import type { Attack } from "./attack.ts";
import { at, BOTH, under } from "./chain.ts";

const zeroByte = hex("00");

const issuerKeyOf = (level: Level) => keyOf(LEVELS[LEVELS.indexOf(level) - 1]!).privateKey;

/** Honestly signed with ECDSA over another hash. */
function hashed(oid: string, hash: string): Attack[] {
  return BOTH.map((level) =>
    under(`ch-${level}-ecdsa-with-${hash}`, {
      [level]: (template: Template) => {
        template.innerAlgorithm = algorithm(oid);
        template.outerAlgorithm = algorithm(oid);
        template.sign = signedBy(issuerKeyOf(level), hash);
      },
    }),
  );
}

/** The signature's bits, without the count of unused ones, written otherwise. */
function signature(change: (signature: Uint8Array) => Uint8Array): Edit {
  return certificateBytes((certificate) => {
    const [tbs, algorithmOutside, bits] = children(certificate);
    const changed = change(contentOf(bits!).slice(1));
    return der(SEQUENCE, tbs!, algorithmOutside!, der(BIT_STRING, zeroByte, changed));
  });
}

/** r and s of a signature in DER, changed as integers. */
function numbers(change: (r: bigint, s: bigint) => [bigint, bigint]): Edit {
  return signature((pair) => {
    const [r, s] = children(pair).map((item) => BigInt(`0x${hexOf(contentOf(item))}`));
    return der(SEQUENCE, ...change(r!, s!).map(integer));
  });
}

/** INTEGER of a number that is not negative. */
function integer(value: bigint): Uint8Array {
  const digits = value.toString(16);
  const content = hex(digits.padStart(digits.length + (digits.length % 2), "0"));
  return der(0x02, content[0]! >= 0x80 ? join(zeroByte, content) : content);
}

function hexOf(value: Uint8Array): string {
  return Buffer.from(value).toString("hex");
}

export const certificateSignatures: readonly Attack[] = [
  ...hashed(ecdsaWithSha256, "sha256"),
  ...hashed(ecdsaWithSha512, "sha512"),
  ...at(BOTH, "inner-algorithm-differs", (template) => {
    template.innerAlgorithm = algorithm(ecdsaWithSha256);
  }),
  ...at(BOTH, "outer-algorithm-differs", (template) => {
    template.outerAlgorithm = algorithm(ecdsaWithSha256);
  }),
  ...at(BOTH, "outer-algorithm-differs-by-null", (template) => {
    template.outerAlgorithm = algorithm(ecdsaWithSha384, null);
  }),
  ...at(BOTH, "algorithms-with-null", (template) => {
    template.innerAlgorithm = algorithm(ecdsaWithSha384, null);
    template.outerAlgorithm = algorithm(ecdsaWithSha384, null);
  }),
  ...at(
    BOTH,
    "signature-malleated-s",
    numbers((r, s) => [r, CURVE_ORDER - s]),
    "accepted",
  ),
  ...at(
    BOTH,
    "signature-r-zero",
    numbers((_, s) => [0n, s]),
  ),
  ...at(
    BOTH,
    "signature-s-zero",
    numbers((r) => [r, 0n]),
  ),
  ...at(
    BOTH,
    "signature-psychic",
    numbers(() => [0n, 0n]),
  ),
  ...at(
    BOTH,
    "signature-r-n",
    numbers((_, s) => [CURVE_ORDER, s]),
  ),
  ...at(
    BOTH,
    "signature-r-of-49-bytes",
    numbers((r, s) => [r + 2n ** 384n, s]),
  ),
  ...at(
    BOTH,
    "signature-s-plus-n",
    numbers((r, s) => [r, s + CURVE_ORDER]),
  ),
  ...at(
    BOTH,
    "signature-swapped",
    numbers((r, s) => [s, r]),
  ),
  ...at(
    BOTH,
    "signature-empty",
    signature(() => new Uint8Array()),
  ),
  ...at(
    BOTH,
    "signature-trailing-byte",
    signature((pair) => join(pair, zeroByte)),
  ),
  ...at(
    BOTH,
    "signature-third-number",
    signature((pair) => der(SEQUENCE, contentOf(pair), hex("020101"))),
  ),
  ...at(
    BOTH,
    "signature-number-long-form",
    signature((pair) => {
      const [r, s] = children(pair);
      return der(SEQUENCE, der(0x02, zeroByte, zeroByte, contentOf(r!)), s!);
    }),
  ),
  ...at(
    BOTH,
    "signature-numbers-without-structure",
    signature((pair) =>
      join(
        ...children(pair).map((item) => hex(hexOf(contentOf(item)).slice(-96).padStart(96, "0"))),
      ),
    ),
  ),
  ...at(
    BOTH,
    "signature-with-unused-bits",
    certificateBytes((certificate) => {
      const [tbs, algorithmOutside, bits] = children(certificate);
      const content = contentOf(bits!);
      content[0] = 1;
      return der(SEQUENCE, tbs!, algorithmOutside!, der(BIT_STRING, content));
    }),
  ),
];
