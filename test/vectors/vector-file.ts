/** The form of a vector file (docs/protocol.md §17). In memory its byte strings are arrays. */
import { toHex } from "../support/hex.ts";

/** One case; what else is in it is the file's own. */
export interface VectorCase {
  readonly name: string;
  /** "ok", or the code that the case must end in. */
  readonly expect: string;
  readonly [field: string]: unknown;
}

export interface VectorFile {
  readonly description: string;
  /** The section of docs/protocol.md. */
  readonly spec: string;
  readonly cases: readonly VectorCase[];
}

/** The text of a vector file. */
export function formatVectors(file: object): string {
  return `${JSON.stringify(toJson(file), undefined, 1)}\n`;
}

function toJson(value: unknown): unknown {
  if (value instanceof Uint8Array) return toHex(value);
  if (Array.isArray(value)) return value.map(toJson);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, toJson(item)]));
}
