/**
 * Requests of the Nitro Security Module, in the encoding of its driver: a bare text for a request
 * without arguments, else a map of one entry, the name to the arguments.
 */
import { decodeCbor } from "../cbor.ts";
import { type CborValue, encodeCbor } from "./cbor.ts";

/** The driver takes no more bytes in one request. */
export const MAX_REQUEST_BYTES = 4096;

/** Every request that the module knows, under its own name. */
export type NsmRequest =
  | { readonly name: "DescribeNSM" }
  | { readonly name: "GetRandom" }
  | { readonly name: "DescribePCR"; readonly index: number }
  | { readonly name: "ExtendPCR"; readonly index: number; readonly data: Uint8Array }
  | { readonly name: "LockPCR"; readonly index: number }
  /** Locks the PCRs below `range`. */
  | { readonly name: "LockPCRs"; readonly range: number }
  | {
      readonly name: "Attestation";
      readonly publicKey: Uint8Array | undefined;
      readonly userData: Uint8Array | undefined;
      readonly nonce: Uint8Array | undefined;
    };

/** Encodes a request. It may come out longer than `MAX_REQUEST_BYTES`, which the sender refuses. */
export function encodeRequest(request: NsmRequest): Uint8Array {
  const args = argumentsOf(request);
  return encodeCbor(args ? new Map([[request.name, new Map(args)]]) : request.name);
}

function argumentsOf(request: NsmRequest): [string, CborValue][] | undefined {
  switch (request.name) {
    case "DescribeNSM":
    case "GetRandom":
      return undefined;
    case "DescribePCR":
    case "LockPCR":
      return [["index", request.index]];
    case "ExtendPCR":
      return [
        ["index", request.index],
        ["data", request.data],
      ];
    case "LockPCRs":
      return [["range", request.range]];
    default:
      return [
        ["user_data", request.userData ?? null],
        ["nonce", request.nonce ?? null],
        ["public_key", request.publicKey ?? null],
      ];
  }
}

/** Decodes a request as the module would, or gives `undefined` for what is none. */
export function decodeRequest(bytes: Uint8Array): NsmRequest | undefined {
  if (bytes.length > MAX_REQUEST_BYTES) {
    return undefined;
  }
  let value: unknown;
  try {
    value = decodeCbor(bytes, { code: "nsm-unavailable" });
  } catch {
    return undefined;
  }
  if (value === "DescribeNSM" || value === "GetRandom") {
    return { name: value };
  }
  const [name, args] = (value instanceof Map && value.size === 1 && [...value][0]) || [];
  return args instanceof Map ? requestOf(name, args) : undefined;
}

function requestOf(name: unknown, args: ReadonlyMap<unknown, unknown>): NsmRequest | undefined {
  const has = (...keys: string[]) => args.size === keys.length && keys.every((k) => args.has(k));
  const index = args.get("index");
  const data = args.get("data");
  const range = args.get("range");
  switch (name) {
    case "DescribePCR":
    case "LockPCR":
      return has("index") && isU16(index) ? { name, index } : undefined;
    case "ExtendPCR":
      return has("index", "data") && isU16(index) && data instanceof Uint8Array
        ? { name, index, data: Uint8Array.from(data) }
        : undefined;
    case "LockPCRs":
      return has("range") && isU16(range) ? { name, range } : undefined;
    case "Attestation":
      return attestationOf(args);
    default:
      return undefined;
  }
}

function attestationOf(args: ReadonlyMap<unknown, unknown>): NsmRequest | undefined {
  const known = ["user_data", "nonce", "public_key"];
  for (const [key, value] of args) {
    const fits = value === null || value instanceof Uint8Array;
    if (!known.includes(key as string) || !fits) {
      return undefined;
    }
  }
  const field = (key: string) => {
    const value = args.get(key);
    return value instanceof Uint8Array ? Uint8Array.from(value) : undefined;
  };
  return {
    name: "Attestation",
    publicKey: field("public_key"),
    userData: field("user_data"),
    nonce: field("nonce"),
  };
}

function isU16(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= 0xffff;
}
