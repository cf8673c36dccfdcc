/**
 * Attestation documents for tests, under the test PKI: each field, the payload and the envelope can
 * be written otherwise before they are signed, or after.
 */
import { createHash, type KeyObject, sign } from "node:crypto";
import {
  array,
  bytes,
  type Entry,
  hex,
  indefinite,
  join,
  map,
  NULL,
  text,
  uint,
} from "./raw-cbor.ts";
import { type Chain, makeChain, MODULE_ID, NOW, SECOND } from "./test-pki.ts";

/** The chain that every document stands under unless a test makes another. */
export const chain: Chain = makeChain();

/** What the verifier asked with. */
export const CHALLENGE: Uint8Array = new Uint8Array(32).fill(0xc5);
/** When the documents were made: a moment before they are verified. */
export const TIMESTAMP: number = NOW - 2 * SECOND;

/** The register that one extension with `data` leaves. */
export function pcrOf(data: string): Uint8Array {
  const hash = createHash("sha384").update(new Uint8Array(48)).update(data);
  return Uint8Array.from(hash.digest());
}

export const ZERO_PCR: Uint8Array = new Uint8Array(48);

/** The registers of the enclave that the tests expect, in the hardware's order. */
export function registers(): Map<number, Uint8Array> {
  const values = new Map(Array.from({ length: 16 }, (_, index) => [index, ZERO_PCR]));
  [0, 1, 2].forEach((index) => values.set(index, pcrOf(`image ${index}`)));
  return values.set(4, pcrOf(MODULE_ID.replace(/-enc.*/, "")));
}

export function encodePcrs(values: Iterable<readonly [number, Uint8Array]>): Uint8Array {
  return map(Array.from(values, ([index, value]): Entry => [uint(index), bytes(value)]));
}

/** Field to encoded value, in AWS's order. */
export type Fields = Map<string, Uint8Array>;

export function fieldsOf({ root, regional, zonal, instance, leaf }: Chain = chain): Fields {
  return new Map([
    ["module_id", text(MODULE_ID)],
    ["digest", text("SHA384")],
    ["timestamp", uint(TIMESTAMP)],
    ["pcrs", encodePcrs(registers())],
    ["certificate", bytes(leaf.der)],
    ["cabundle", array([root, regional, zonal, instance].map(({ der }) => bytes(der)))],
    ["public_key", NULL],
    ["user_data", NULL],
    ["nonce", bytes(CHALLENGE)],
  ]);
}

export function entriesOf(fields: Fields): Entry[] {
  return Array.from(fields, ([key, value]): Entry => [text(key), value]);
}

/** The payload as current hardware writes it. */
export function payloadOf(fields: Fields): Uint8Array {
  return indefinite("map", entriesOf(fields).flat());
}

/** What a signature is made over, and how. */
export interface SignatureOptions {
  key?: KeyObject;
  /** Content of the protected header. */
  protectedHeader?: Uint8Array;
  context?: string;
  externalAad?: Uint8Array;
  hash?: string;
}

/** {1: -35}: ES384. */
export const ES384: Uint8Array = hex("a1013822");

/** r ‖ s over the Sig_structure of RFC 9052 §4.4. */
export function signatureOf(payload: Uint8Array, options: SignatureOptions = {}): Uint8Array {
  const {
    key = chain.leaf.privateKey,
    protectedHeader = ES384,
    context = "Signature1",
    externalAad = new Uint8Array(),
    hash = "sha384",
  } = options;
  const parts = [text(context), bytes(protectedHeader), bytes(externalAad), bytes(payload)];
  return Uint8Array.from(sign(hash, array(parts), { key, dsaEncoding: "ieee-p1363" }));
}

/** The four items of an envelope, encoded. */
export interface EnvelopeItems {
  protectedHeader: Uint8Array;
  unprotected: Uint8Array;
  payload: Uint8Array;
  signature: Uint8Array;
}

/** The items of a good envelope over a payload. */
export function itemsOf(payload: Uint8Array, options: SignatureOptions = {}): EnvelopeItems {
  return {
    protectedHeader: bytes(options.protectedHeader ?? ES384),
    unprotected: hex("a0"),
    payload: bytes(payload),
    signature: bytes(signatureOf(payload, options)),
  };
}

export function envelopeOf(items: EnvelopeItems): Uint8Array {
  const { protectedHeader, unprotected, payload, signature } = items;
  return join(hex("84"), protectedHeader, unprotected, payload, signature);
}

/** Evidence with a payload, signed by the leaf. */
export function evidenceOf(payload: Uint8Array, options: SignatureOptions = {}): Uint8Array {
  return envelopeOf(itemsOf(payload, options));
}

/** Evidence whose fields were changed before it was signed. */
export function evidenceWith(change?: (fields: Fields) => void): Uint8Array {
  const fields = fieldsOf();
  change?.(fields);
  return evidenceOf(payloadOf(fields));
}

/** Evidence under another chain, signed by its leaf. */
export function evidenceUnder(other: Chain, change?: (fields: Fields) => void): Uint8Array {
  const fields = fieldsOf(other);
  change?.(fields);
  return evidenceOf(payloadOf(fields), { key: other.leaf.privateKey });
}
