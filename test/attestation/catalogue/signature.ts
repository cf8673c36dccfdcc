/** Group sig: a good document, and a signature that is not its leaf's. */
import { sign } from "node:crypto";
import type { AttestationErrorCode } from "../../../attestation/errors.ts";
import { CURVE_ORDER, fixed } from "../../support/p384-numbers.ts";
import { bytes } from "../../support/raw-cbor.ts";
import { der, SEQUENCE } from "../../support/raw-der.ts";
import {
  chain,
  envelopeOf,
  evidenceOf,
  fieldsOf,
  itemsOf,
  payloadOf,
  type SignatureOptions,
  signatureOf,
} from "../../support/test-document.ts";
import { keyPair } from "../../support/test-pki.ts";
import type { Attack } from "./attack.ts";

const payload = payloadOf(fieldsOf());
const good = signatureOf(payload);
const [r, s] = [good.slice(0, 48), good.slice(48)];

function number(bytesOfIt: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytesOfIt).toString("hex")}`);
}

function joined(...parts: Uint8Array[]): Uint8Array {
  return Uint8Array.from(Buffer.concat(parts));
}

function withSignature(
  name: string,
  signature: () => Uint8Array,
  verdict: AttestationErrorCode | "accepted" = "bad-signature",
): Attack {
  return {
    name,
    verdict,
    evidence: () => envelopeOf({ ...itemsOf(payload), signature: bytes(signature()) }),
  };
}

function signedOtherwise(name: string, options: SignatureOptions): Attack {
  const signature = () => signatureOf(payload, options);
  return withSignature(name, signature);
}

function flipped(index: number): Uint8Array {
  const changed = Uint8Array.from(good);
  changed[index] = changed[index]! ^ 1;
  return changed;
}

/** An INTEGER of DER. */
function integer(value: Uint8Array): Uint8Array {
  const digits = number(value).toString(16);
  const content = Buffer.from(digits.padStart(digits.length + (digits.length % 2), "0"), "hex");
  return der(0x02, Uint8Array.from(content[0]! >= 0x80 ? [0, ...content] : content));
}

const zero = new Uint8Array(48);
const ones = new Uint8Array(48).fill(0xff);
const one = fixed(1n);

export const signature: readonly Attack[] = [
  // Half of all genuine signatures have a high s: both are signatures, neither is an identity.
  withSignature("sig-malleated-s", () => joined(r, fixed(CURVE_ORDER - number(s))), "accepted"),

  withSignature("sig-bit-flip-in-r", () => flipped(20)),
  withSignature("sig-bit-flip-in-s", () => flipped(95)),
  withSignature("sig-r-zero", () => joined(zero, s)),
  withSignature("sig-s-zero", () => joined(r, zero)),
  withSignature("sig-psychic", () => joined(zero, zero)),
  withSignature("sig-r-n", () => joined(fixed(CURVE_ORDER), s)),
  withSignature("sig-s-n", () => joined(r, fixed(CURVE_ORDER))),
  withSignature("sig-r-and-s-n", () => joined(fixed(CURVE_ORDER), fixed(CURVE_ORDER))),
  withSignature("sig-r-n-plus-1", () => joined(fixed(CURVE_ORDER + 1n), s)),
  withSignature("sig-all-ff", () => joined(ones, ones)),
  withSignature("sig-r-and-s-1", () => joined(one, one)),

  withSignature("sig-0-bytes", () => new Uint8Array(), "malformed-evidence"),
  withSignature("sig-48-bytes", () => r, "malformed-evidence"),
  withSignature("sig-95-bytes", () => good.slice(0, 95), "malformed-evidence"),
  withSignature("sig-97-bytes", () => joined(good, zero.slice(0, 1)), "malformed-evidence"),
  withSignature(
    "sig-98-bytes-padded-halves",
    () => joined(zero.slice(0, 1), r, zero.slice(0, 1), s),
    "malformed-evidence",
  ),
  withSignature(
    "sig-192-bytes-padded-halves",
    () => joined(zero, r, zero, s),
    "malformed-evidence",
  ),
  withSignature("sig-der", () => der(SEQUENCE, integer(r), integer(s)), "malformed-evidence"),

  signedOtherwise("sig-context-signature", { context: "Signature" }),
  signedOtherwise("sig-context-mac0", { context: "MAC0" }),
  signedOtherwise("sig-external-aad", { externalAad: Uint8Array.of(1) }),
  signedOtherwise("sig-protected-empty", { protectedHeader: new Uint8Array() }),
  signedOtherwise("sig-sha256-under-es384", { hash: "sha256" }),
  signedOtherwise("sig-sha512-under-es384", { hash: "sha512" }),
  signedOtherwise("sig-by-the-instance-authority", { key: chain.instance.privateKey }),
  signedOtherwise("sig-by-the-root", { key: chain.root.privateKey }),
  signedOtherwise("sig-by-a-foreign-key", { key: keyPair().privateKey }),
  withSignature("sig-over-the-payload-alone", () => {
    const key = chain.leaf.privateKey;
    return Uint8Array.from(sign("sha384", payload, { key, dsaEncoding: "ieee-p1363" }));
  }),
  withSignature("sig-r-and-s-swapped", () => joined(s, r)),
  withSignature("sig-little-endian", () =>
    joined(Uint8Array.from(r).reverse(), Uint8Array.from(s).reverse()),
  ),
  {
    name: "sig-of-another-document",
    verdict: "bad-signature",
    evidence: () => {
      const fields = fieldsOf();
      fields.set("public_key", bytes(Uint8Array.of(1)));
      return envelopeOf({ ...itemsOf(payloadOf(fields)), signature: bytes(good) });
    },
  },
  {
    name: "sig-control",
    verdict: "accepted",
    evidence: () => evidenceOf(payload),
  },
];
