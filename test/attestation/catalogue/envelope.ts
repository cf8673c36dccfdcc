/** Group env: the same statement in another envelope, or none. */
import type { AttestationErrorCode } from "../../../attestation/errors.ts";
import {
  array,
  BREAK,
  bytes,
  chunked,
  head,
  hex,
  indefinite,
  join,
  map,
  NULL,
  tag,
  text,
  uint,
} from "../../support/raw-cbor.ts";
import {
  CHALLENGE,
  type EnvelopeItems,
  envelopeOf,
  ES384,
  evidenceOf,
  evidenceWith,
  fieldsOf,
  itemsOf,
  payloadOf,
  signatureOf,
} from "../../support/test-document.ts";
import { chain } from "../../support/test-document.ts";
import type { Attack } from "./attack.ts";

const payload = payloadOf(fieldsOf());
const evidence = evidenceOf(payload);

function refused(
  name: string,
  make: () => Uint8Array,
  verdict: AttestationErrorCode = "malformed-evidence",
): Attack {
  return { name, verdict, evidence: make };
}

/** The good envelope with some of its items written otherwise. */
function withItems(name: string, change: (items: EnvelopeItems) => Partial<EnvelopeItems>): Attack {
  return refused(name, () => {
    const items = itemsOf(payload);
    return envelopeOf({ ...items, ...change(items) });
  });
}

const itemList = ({ protectedHeader, unprotected, payload: body, signature }: EnvelopeItems) => [
  protectedHeader,
  unprotected,
  body,
  signature,
];

const huge = 2n ** 63n - 1n;

export const envelope: readonly Attack[] = [
  refused("env-tag-17", () => tag(17, evidence)),
  refused("env-tag-98", () => tag(98, evidence)),
  refused("env-tag-61", () => tag(61, evidence)),
  refused("env-tag-61-over-18", () => tag(61, tag(18, evidence))),
  refused("env-tag-55799", () => tag(55_799, evidence)),
  refused("env-tag-18-twice", () => tag(18, tag(18, evidence))),
  refused("env-tag-18-long-form", () => tag(18, evidence, 1)),
  refused("env-tag-18-alone", () => hex("d2")),

  refused("env-trailing-byte", () => join(evidence, hex("00"))),
  refused("env-trailing-break", () => join(evidence, BREAK)),
  refused("env-second-document", () => join(evidence, evidence)),
  refused("env-truncated-by-one", () => evidence.slice(0, -1)),
  refused("env-truncated-in-payload", () => evidence.slice(0, evidence.length >> 1)),
  refused("env-truncated-before-signature", () => evidence.slice(0, -98)),
  refused("env-header-only", () => evidence.slice(0, 7)),
  refused("env-empty", () => new Uint8Array()),
  refused("env-null", () => NULL),
  refused("env-20001-bytes", () => join(evidence, new Uint8Array(20_001 - evidence.length))),

  refused("env-array-of-0", () => array([])),
  refused("env-array-of-3", () => array(itemList(itemsOf(payload)).slice(0, 3))),
  refused("env-array-of-3-with-4-items", () => join(hex("83"), ...itemList(itemsOf(payload)))),
  refused("env-array-of-5", () => array([...itemList(itemsOf(payload)), NULL])),
  refused("env-map-instead-of-array", () =>
    map(itemList(itemsOf(payload)).map((item, index) => [uint(index), item] as const)),
  ),
  refused("env-array-indefinite", () => indefinite("array", itemList(itemsOf(payload)))),
  refused("env-array-long-form", () => array(itemList(itemsOf(payload)), 1)),

  withItems("env-protected-long-form", () => ({ protectedHeader: bytes(ES384, 1) })),
  withItems("env-protected-chunked", () => ({ protectedHeader: chunked(ES384) })),
  withItems("env-protected-not-wrapped", () => ({ protectedHeader: ES384 })),
  withItems("env-payload-long-form", () => ({ payload: bytes(payload, 4) })),
  withItems("env-payload-chunked", () => ({ payload: chunked(payload) })),
  withItems("env-payload-text", () => ({
    payload: join(head(3, payload.length), payload),
  })),
  withItems("env-payload-not-wrapped", () => ({ payload })),
  withItems("env-payload-nil", () => ({ payload: NULL })),
  withItems("env-payload-empty", () => itemsOf(new Uint8Array())),
  withItems("env-payload-over-16384", () => {
    const long = fieldsOf();
    long.set("user_data", bytes(new Uint8Array(13_000)));
    return itemsOf(payloadOf(long));
  }),
  withItems("env-signature-long-form", ({ signature }) => ({
    signature: bytes(signature.slice(2), 2),
  })),
  withItems("env-signature-chunked", ({ signature }) => ({
    signature: chunked(signature.slice(2)),
  })),
  withItems("env-signature-text", ({ signature }) => ({
    signature: join(hex("7860"), signature.slice(2)),
  })),
  withItems("env-signature-null", () => ({ signature: NULL })),
  withItems("env-additional-information-28", () => ({ payload: join(hex("5c"), payload) })),

  withItems("env-unprotected-alg", () => ({ unprotected: ES384 })),
  withItems("env-unprotected-kid", () => ({
    unprotected: map([[uint(4), bytes(Uint8Array.of(1))]]),
  })),
  withItems("env-unprotected-x5chain", () => ({
    unprotected: map([[uint(33), bytes(chain.leaf.der)]]),
  })),
  withItems("env-unprotected-null", () => ({ unprotected: NULL })),
  withItems("env-unprotected-array", () => ({ unprotected: array([]) })),
  withItems("env-unprotected-indefinite-map", () => ({ unprotected: indefinite("map", []) })),
  withItems("env-unprotected-long-form", () => ({ unprotected: map([], { width: 1 }) })),
  withItems("env-unprotected-wrapped", () => ({ unprotected: bytes(hex("a0")) })),

  refused("env-length-of-array-beyond-memory", () => join(head(4, huge), evidence.slice(1))),
  withItems("env-length-of-payload-beyond-memory", () => ({
    payload: join(head(2, huge), payload),
  })),
  withItems("env-length-of-signature-beyond-memory", ({ signature }) => ({
    signature: join(head(2, huge), signature.slice(2)),
  })),
  withItems("env-length-of-unprotected-beyond-memory", () => ({ unprotected: head(5, huge) })),
  refused("env-20000-nested-arrays", () => new Uint8Array(20_000).fill(0x81)),
  refused("env-20000-nested-tags", () => new Uint8Array(20_000).fill(0xd2)),
  refused("env-20000-indefinite-arrays", () => new Uint8Array(20_000).fill(0x9f)),
  refused("env-base64-text", () =>
    new TextEncoder().encode(Buffer.from(evidence).toString("base64")),
  ),
  refused("env-hex-text", () => text(Buffer.from(evidenceWith()).toString("hex"))),
  refused("env-cose-mac0", () =>
    tag(17, array([bytes(ES384), hex("a0"), bytes(payload), bytes(CHALLENGE)])),
  ),
  refused("env-cose-sign", () =>
    tag(
      98,
      array([
        bytes(ES384),
        hex("a0"),
        bytes(payload),
        array([array([bytes(ES384), hex("a0"), bytes(signatureOf(payload))])]),
      ]),
    ),
  ),
];
