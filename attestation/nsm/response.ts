/**
 * Responses of the Nitro Security Module. A reader takes exactly the shapes that the module is
 * known to give; everything else, its own error included, is `nsm-unavailable`.
 */
import { type CborShape, decodeCbor } from "../cbor.ts";
import { AttestationError } from "../errors.ts";
import { type CborValue, encodeCbor } from "./cbor.ts";
import type { NsmRequest } from "./request.ts";

/** The driver gives no more bytes in one response. */
export const MAX_RESPONSE_BYTES = 12_288;

/** What a module says of itself. */
export interface NsmDescription {
  /** Major, minor, patch. */
  readonly version: readonly [number, number, number];
  readonly moduleId: string;
  readonly maxPcrs: number;
  /** Indexes of the PCRs that can no longer change, ascending. */
  readonly lockedPcrs: readonly number[];
}

/** One register, and whether it can still change. */
export interface Pcr {
  readonly locked: boolean;
  /** 48 bytes. */
  readonly value: Uint8Array;
}

/** The answer to each request, by the request's name. */
export interface NsmAnswers {
  DescribeNSM: NsmDescription;
  /** At most 256 bytes. */
  GetRandom: Uint8Array;
  DescribePCR: Pcr;
  /** The new value of the register, 48 bytes. */
  ExtendPCR: Uint8Array;
  LockPCR: undefined;
  LockPCRs: undefined;
  /** The signed document. */
  Attestation: Uint8Array;
}

/** The module's own words for what went wrong. */
export type NsmErrorName =
  | "InvalidArgument"
  | "InvalidIndex"
  | "InvalidResponse"
  | "ReadOnlyIndex"
  | "InvalidOperation"
  | "BufferTooSmall"
  | "InputTooLarge"
  | "InternalError";

type NsmRequestName = NsmRequest["name"];

const PCR_BYTES = 48;

const RESPONSE_SHAPE: CborShape = {
  code: "nsm-unavailable",
  booleans: true,
  indefiniteOuterMap: true,
};

/** Encodes the answer to the request of that name. */
export function encodeResponse<Name extends NsmRequestName>(
  name: Name,
  answer: NsmAnswers[Name],
): Uint8Array {
  const fields = writers[name](answer);
  return encodeCbor(fields ? new Map([[name, new Map(fields)]]) : name);
}

/** Encodes a refusal. */
export function encodeError(error: NsmErrorName): Uint8Array {
  return encodeCbor(new Map([["Error", error]]));
}

const writers: {
  [Name in NsmRequestName]: (answer: NsmAnswers[Name]) => [string, CborValue][] | undefined;
} = {
  DescribeNSM: ({ version, moduleId, maxPcrs, lockedPcrs }) => [
    ["version_major", version[0]],
    ["version_minor", version[1]],
    ["version_patch", version[2]],
    ["module_id", moduleId],
    ["max_pcrs", maxPcrs],
    ["locked_pcrs", lockedPcrs],
    ["digest", "SHA384"],
  ],
  GetRandom: (random) => [["random", random]],
  DescribePCR: ({ locked, value }) => [
    ["lock", locked],
    ["data", value],
  ],
  ExtendPCR: (value) => [["data", value]],
  LockPCR: () => undefined,
  LockPCRs: () => undefined,
  Attestation: (document) => [["document", document]],
};

/**
 * Reads the answer to the request of that name; byte strings in it are copies.
 *
 * @throws AttestationError `nsm-unavailable`, with the module's own error text if it gave one.
 */
export function decodeResponse<Name extends NsmRequestName>(
  name: Name,
  response: Uint8Array,
): NsmAnswers[Name] {
  let value: unknown;
  try {
    value = decodeCbor(response, RESPONSE_SHAPE);
  } catch (cause) {
    throw unreadable(name, "bytes that are not CBOR", { cause });
  }
  if (value === name) {
    return readers[name](new Map());
  }
  const [key, body]: unknown[] = (value instanceof Map && value.size === 1 && [...value][0]) || [];
  if (key === "Error" && typeof body === "string") {
    throw new AttestationError(
      "nsm-unavailable",
      `the NSM refused ${name}: ${JSON.stringify(body.slice(0, 64))}`,
    );
  }
  if (key !== name || !(body instanceof Map)) {
    throw unreadable(name, "something else");
  }
  return readers[name](body);
}

function unreadable(name: string, got: string, options?: ErrorOptions): AttestationError {
  return new AttestationError(
    "nsm-unavailable",
    `the NSM answered ${name} with an unknown response: expected the response ${name}, received ${got}`,
    options,
  );
}

type Body = ReadonlyMap<unknown, unknown>;

const readers: { [Name in NsmRequestName]: (body: Body) => NsmAnswers[Name] } = {
  DescribeNSM(body) {
    const keys = ["version_major", "version_minor", "version_patch", "module_id", "max_pcrs"];
    expectKeys("DescribeNSM", body, [...keys, "locked_pcrs", "digest"]);
    const moduleId = body.get("module_id");
    const lockedPcrs: unknown = body.get("locked_pcrs");
    expect("DescribeNSM", "module_id", typeof moduleId === "string" && moduleId.length > 0);
    expect("DescribeNSM", "locked_pcrs", Array.isArray(lockedPcrs) && lockedPcrs.length <= 32);
    expect("DescribeNSM", "digest", body.get("digest") === "SHA384");
    const number = (key: string) => readU16("DescribeNSM", key, body.get(key));
    return {
      version: [number("version_major"), number("version_minor"), number("version_patch")],
      moduleId: moduleId as string,
      maxPcrs: number("max_pcrs"),
      lockedPcrs: (lockedPcrs as unknown[]).map((index) =>
        readU16("DescribeNSM", "locked_pcrs", index),
      ),
    };
  },
  GetRandom(body) {
    expectKeys("GetRandom", body, ["random"]);
    return readBytes("GetRandom", "random", body.get("random"), 1, 256);
  },
  DescribePCR(body) {
    expectKeys("DescribePCR", body, ["lock", "data"]);
    const locked = body.get("lock");
    expect("DescribePCR", "lock", typeof locked === "boolean");
    return {
      locked: locked === true,
      value: readBytes("DescribePCR", "data", body.get("data"), PCR_BYTES, PCR_BYTES),
    };
  },
  ExtendPCR(body) {
    expectKeys("ExtendPCR", body, ["data"]);
    return readBytes("ExtendPCR", "data", body.get("data"), PCR_BYTES, PCR_BYTES);
  },
  LockPCR(body) {
    expectKeys("LockPCR", body, []);
    return undefined;
  },
  LockPCRs(body) {
    expectKeys("LockPCRs", body, []);
    return undefined;
  },
  Attestation(body) {
    expectKeys("Attestation", body, ["document"]);
    return readBytes("Attestation", "document", body.get("document"), 1, MAX_RESPONSE_BYTES);
  },
};

function expectKeys(name: NsmRequestName, body: Body, keys: readonly string[]): void {
  expect(name, "fields", body.size === keys.length && keys.every((key) => body.has(key)));
}

function readBytes(
  name: NsmRequestName,
  key: string,
  value: unknown,
  min: number,
  max: number,
): Uint8Array {
  const fits = value instanceof Uint8Array && value.length >= min && value.length <= max;
  expect(name, key, fits);
  return Uint8Array.from(value as Uint8Array);
}

function readU16(name: NsmRequestName, key: string, value: unknown): number {
  expect(name, key, Number.isInteger(value) && Number(value) >= 0 && Number(value) <= 0xffff);
  return value as number;
}

function expect(name: NsmRequestName, key: string, holds: boolean): void {
  if (!holds) {
    throw unreadable(name, `other ${key}`);
  }
}
