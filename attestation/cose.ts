/**
 * The envelope of evidence (docs/protocol.md §A.2): a COSE_Sign1 (RFC 9052 §4.2), tagged or not, whose
 * headers are compared as bytes, never decoded. There is one algorithm, so there is nothing to negotiate and
 * nothing for an attacker to choose.
 */

import { equalBytes, encodeHex } from "./bytes.ts";
import { AttestationError } from "./errors.ts";
import { isScalar } from "./p384.ts";

/** The largest evidence in bytes; genuine evidence has about 5000. */
export const maxEvidenceBytes = 20_000;

const maxPayloadBytes = 16_384;
const signatureBytes = 96;

/** bstr of {1: -35}, which is ES384. */
const protectedHeader = Uint8Array.of(0x44, 0xa1, 0x01, 0x38, 0x22);
const unprotectedHeader = Uint8Array.of(0xa0);
const arrayOfFour = Uint8Array.of(0x84);
/** Sig_structure = ["Signature1", protected, external_aad = h'', payload], up to the payload (§A.7). */
const signaturePrefix = Uint8Array.of(
  ...arrayOfFour,
  0x6a,
  ...new TextEncoder().encode("Signature1"),
  ...protectedHeader,
  0x40,
);

/** The three parts of the envelope that matter. */
export interface Envelope {
  readonly payload: Uint8Array;
  /** r ‖ s, 48 bytes each, both in the range of the curve's order. */
  readonly signature: Uint8Array;
  /** Sig_structure of RFC 9052 §4.4: the bytes that were signed. */
  readonly signedBytes: Uint8Array;
}

/**
 * Takes evidence apart, without verifying the signature. The parts are of a copy, so nobody can
 * change the bytes between their verification and their use.
 *
 * @throws AttestationError `malformed-evidence`, or `bad-signature` for an r or s that no signature has.
 */
export function parseEnvelope(input: Uint8Array): Envelope {
  if (input.length === 0 || input.length > maxEvidenceBytes) {
    refuse(`expected 1 to ${maxEvidenceBytes} bytes, received ${input.length}`);
  }
  const evidence = new Uint8Array(input);
  let offset = evidence[0] === 0xd2 ? 1 : 0;
  offset = expectBytes(evidence, offset, arrayOfFour, "array of four items");
  offset = expectBytes(evidence, offset, protectedHeader, "protected header {1: -35} (ES384)");
  offset = expectBytes(evidence, offset, unprotectedHeader, "empty unprotected header");
  const payload = byteString(evidence, offset, "payload");
  const signature = byteString(evidence, payload.end, "signature");
  if (signature.end !== evidence.length) {
    refuse(
      `expected the end after the signature, received ${evidence.length - signature.end} bytes`,
    );
  }
  if (payload.bytes.length === 0 || payload.bytes.length > maxPayloadBytes) {
    refuse(`expected a payload of 1 to ${maxPayloadBytes} bytes, received ${payload.bytes.length}`);
  }
  if (signature.bytes.length !== signatureBytes) {
    refuse(`expected a signature of ${signatureBytes} bytes, received ${signature.bytes.length}`);
  }
  if (!isScalar(signature.bytes.subarray(0, 48)) || !isScalar(signature.bytes.subarray(48))) {
    throw new AttestationError("bad-signature", "expected r and s from 1 to n - 1");
  }
  const signedPayload = evidence.subarray(offset, payload.end);
  const signedBytes = new Uint8Array(signaturePrefix.length + signedPayload.length);
  signedBytes.set(signaturePrefix);
  signedBytes.set(signedPayload, signaturePrefix.length);
  return { payload: payload.bytes, signature: signature.bytes, signedBytes };
}

function expectBytes(
  bytes: Uint8Array,
  offset: number,
  expected: Uint8Array,
  what: string,
): number {
  const end = offset + expected.length;
  const received = bytes.subarray(offset, end);
  if (!equalBytes(received, expected)) {
    refuse(
      `expected ${what}, ${encodeHex(expected)}, received ${encodeHex(received) || "the end"}`,
    );
  }
  return end;
}

/** A byte string of definite length in its shortest form. */
function byteString(
  bytes: Uint8Array,
  offset: number,
  what: string,
): { readonly bytes: Uint8Array; readonly end: number } {
  const initial = bytes[offset] ?? refuse(`expected the ${what}, received the end`);
  const info = initial - 0x40;
  if (info < 0 || info > 25) {
    refuse(`expected the ${what} as a byte string, received ${encodeHex(Uint8Array.of(initial))}`);
  }
  const width = info < 24 ? 0 : info - 23;
  let length = width === 0 ? info : 0;
  for (let i = 1; i <= width; i++) {
    length = length * 256 + (bytes[offset + i] ?? refuse(`the ${what} is cut short`));
  }
  if (width > 0 && length < (width === 1 ? 24 : 256)) {
    refuse(`expected the length of the ${what} in its shortest form`);
  }
  const start = offset + 1 + width;
  const end = start + length;
  if (end > bytes.length) {
    refuse(`expected ${length} bytes of ${what}, received ${bytes.length - start}`);
  }
  return { bytes: bytes.subarray(start, end), end };
}

function refuse(what: string): never {
  throw new AttestationError("malformed-evidence", `envelope: ${what}`);
}
