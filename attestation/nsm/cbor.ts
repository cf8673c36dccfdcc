/**
 * Encodes CBOR as the Nitro Security Module's other clients do: definite lengths, shortest
 * integers, no tags. Maps are `Map`, byte strings `Uint8Array`.
 */
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

const encoder = new Encoder({ useRecords: false, mapsAsObjects: false, tagUint8Array: false });

/** A non-negative integer in the form in which the library writes it shortest. */
export function cborUint(value: number): number | bigint {
  return value < 2 ** 32 ? value : BigInt(value);
}

/** Encodes a value into an array of its own. */
export function encodeCbor(value: CborValue): Uint8Array {
  // The library hands out views of a shared pool: copied, nothing else of it can be seen or moved.
  return Uint8Array.from(encoder.encode(value));
}
