/**
 * The attestation document that a simulated module signs, byte for byte in the hardware's form:
 * untagged COSE_Sign1, ES384, fields in AWS's order, null for what was not given.
 */
import { type KeyObject, sign } from "node:crypto";
import { type CborValue, cborUint, encodeCbor } from "./cbor.ts";

/** What the document states, and who signs it. */
export interface DocumentContent {
  readonly moduleId: string;
  readonly timestampMs: number;
  readonly pcrs: readonly [index: number, value: Uint8Array][];
  readonly certificate: Uint8Array;
  /** From the root down, without the leaf. */
  readonly cabundle: readonly Uint8Array[];
  readonly publicKey: Uint8Array | undefined;
  readonly userData: Uint8Array | undefined;
  readonly nonce: Uint8Array | undefined;
}

/** How the outer map is written: hardware changed from definite to indefinite in 2025. */
export type OuterMap = "definite" | "indefinite";

/** Array of 4; protected {1: -35} as byte string; unprotected {}. */
const ENVELOPE_START = Uint8Array.of(0x84, 0x44, 0xa1, 0x01, 0x38, 0x22, 0xa0);
const PROTECTED = ENVELOPE_START.slice(2, 6);

/** The signed document. */
export function signDocument(
  content: DocumentContent,
  key: KeyObject,
  outerMap: OuterMap,
): Uint8Array {
  const payload = encodePayload(content, outerMap);
  const toBeSigned = encodeCbor(["Signature1", PROTECTED, new Uint8Array(), payload]);
  const signature = sign("sha384", toBeSigned, { key, dsaEncoding: "ieee-p1363" });
  return concat([ENVELOPE_START, encodeCbor(payload), encodeCbor(Uint8Array.from(signature))]);
}

function encodePayload(content: DocumentContent, outerMap: OuterMap): Uint8Array {
  const fields = new Map<string, CborValue>([
    ["module_id", content.moduleId],
    ["digest", "SHA384"],
    ["timestamp", cborUint(content.timestampMs)],
    ["pcrs", new Map(content.pcrs)],
    ["certificate", content.certificate],
    ["cabundle", content.cabundle],
    ["public_key", content.publicKey ?? null],
    ["user_data", content.userData ?? null],
    ["nonce", content.nonce ?? null],
  ]);
  if (outerMap === "definite") {
    return encodeCbor(fields);
  }
  const entries = [...fields].flat().map((item) => encodeCbor(item));
  return concat([Uint8Array.of(0xbf), ...entries, Uint8Array.of(0xff)]);
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(Buffer.concat(parts));
}
