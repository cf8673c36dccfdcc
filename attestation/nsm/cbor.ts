/**
 * CBOR as the Nitro Security Module reads and writes it: definite lengths, shortest integers, no
 * tags. Maps are `Map`, byte strings `Uint8Array`; nothing is keyed by input on a plain object.
 */
import { Decoder } from "cbor-x/decode";
import { Encoder } from "cbor-x/encode";

/** What a value may be made of. Integers from 2^32 are bigint: the library writes such numbers as floats. */
export type CborValue =
  | string
  | number
  | bigint
  | boolean
  | null
  | Uint8Array
  | readonly CborValue[]
  | ReadonlyMap<string | number, CborValue>;

const options = { useRecords: false, mapsAsObjects: false, tagUint8Array: false };
const encoder = new Encoder(options);
const decoder = new Decoder(options);

/** A non-negative integer in the form in which the library writes it shortest. */
export function cborUint(value: number): number | bigint {
  return value < 2 ** 32 ? value : BigInt(value);
}

/** Encodes a value into an array of its own. */
export function encodeCbor(value: CborValue): Uint8Array {
  // The library hands out views of a shared pool: copied, nothing else of it can be seen or moved.
  return Uint8Array.from(encoder.encode(value));
}

/**
 * Decodes one value, which may alias the input. What it is made of is the caller's to check.
 *
 * @throws RangeError or Error of the library for bytes that are not one CBOR value.
 */
export function decodeCbor(bytes: Uint8Array): unknown {
  return decoder.decode(bytes) as unknown;
}
