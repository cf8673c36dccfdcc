/** Reference values: the measurements that a relying party accepts, as sets of registers. */

import { decodeHex, encodeHex, isAllZero } from "./bytes.ts";

/** One set: 48 bytes each in hexadecimal digits, of any case where the user writes them. */
export interface ReferenceValues {
  /** The whole image. */
  readonly pcr0?: string;
  /** Kernel and boot ramdisk. */
  readonly pcr1?: string;
  /** The application. */
  readonly pcr2?: string;
  /** The IAM role of the host. */
  readonly pcr3?: string;
  /** The instance ID of the host. */
  readonly pcr4?: string;
  /** The certificate that signed the image. */
  readonly pcr8?: string;
}

/** The registers that a set may pin, by the key of each. */
export const pinnableRegisters: ReadonlyMap<keyof ReferenceValues, number> = new Map([
  ["pcr0", 0],
  ["pcr1", 1],
  ["pcr2", 2],
  ["pcr3", 3],
  ["pcr4", 4],
  ["pcr8", 8],
]);

/**
 * Checks the list of sets, and gives it frozen, in lower-case digits. With `requirePcr0` every set,
 * and so the list, must say which image is meant.
 *
 * @throws TypeError or RangeError that names the set and the register.
 */
export function parseReferenceValues(
  value: unknown,
  requirePcr0: boolean,
  where = "referenceValues",
): readonly ReferenceValues[] {
  if (value === undefined && !requirePcr0) return Object.freeze([]);
  if (!Array.isArray(value)) {
    throw new TypeError(`${where}: expected a list of sets of measurements`);
  }
  if (value.length === 0) throw new RangeError(`${where}: expected a set, received none`);
  return Object.freeze(
    value.map((set: unknown, i) => parseSet(set, `${where}[${i}]`, requirePcr0)),
  );
}

function parseSet(value: unknown, where: string, requirePcr0: boolean): ReferenceValues {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new TypeError(`${where}: expected an object of measurements`);
  }
  const allowed: ReadonlySet<string> = new Set(pinnableRegisters.keys());
  const entries = Object.entries(value)
    .filter(([, digits]) => digits !== undefined)
    .map(([key, digits]: [string, unknown]) => {
      if (!allowed.has(key)) {
        const names = [...allowed].join(", ");
        throw new TypeError(`${where}: unknown key ${JSON.stringify(key)}, expected ${names}`);
      }
      return [key, parseMeasurement(digits, `${where}.${key}`)];
    });
  const set = Object.freeze(Object.fromEntries(entries) as ReferenceValues);
  if (requirePcr0 && set.pcr0 === undefined) {
    throw new TypeError(`${where}: expected pcr0, without which any image would do`);
  }
  if (entries.length === 0) throw new RangeError(`${where}: expected a measurement, received none`);
  return set;
}

function parseMeasurement(value: unknown, where: string): string {
  const bytes = typeof value === "string" ? decodeHex(value) : undefined;
  if (bytes === undefined) throw new TypeError(`${where}: expected hexadecimal digits`);
  if (bytes.length !== 48) {
    throw new RangeError(`${where}: expected 48 bytes, received ${bytes.length}`);
  }
  // Every debug enclave has these: as an expectation they would admit all of them.
  if (isAllZero(bytes)) throw new RangeError(`${where}: all zero, which measures nothing`);
  return encodeHex(bytes);
}
