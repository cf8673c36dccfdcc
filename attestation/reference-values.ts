/** Reference values: the measurements that a relying party accepts, as sets of registers. */

import { decodeHex, encodeHex, isAllZero } from "./bytes.ts";

/** The registers that a policy may pin. PCR3 and PCR4 are of the host's role and instance, 8 is of the image's signer. */
export const pinnableRegisters = [0, 1, 2, 3, 4, 8] as const;

/** One of them. */
export type PinnableRegister = (typeof pinnableRegisters)[number];

/** One set, as the user writes it: 48 bytes each in hexadecimal digits of any case. */
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

/** One set, checked: register to 96 lower-case hexadecimal digits. */
export type ReferenceSet = ReadonlyMap<PinnableRegister, string>;

const registerOfKey: ReadonlyMap<string, PinnableRegister> = new Map(
  pinnableRegisters.map((register) => [`pcr${register}`, register]),
);

/**
 * Checks the list of sets. `requirePcr0`: every set, and so the list, must say which image is meant.
 *
 * @throws TypeError or RangeError that names the set and the register.
 */
export function parseReferenceValues(
  value: unknown,
  requirePcr0: boolean,
): readonly ReferenceSet[] {
  if (value === undefined && !requirePcr0) return Object.freeze([]);
  if (!Array.isArray(value)) {
    throw new TypeError("referenceValues: expected a list of sets of measurements");
  }
  if (value.length === 0) throw new RangeError("referenceValues: expected a set, received none");
  return Object.freeze(
    value.map((set: unknown, i) => parseSet(set, `referenceValues[${i}]`, requirePcr0)),
  );
}

function parseSet(value: unknown, where: string, requirePcr0: boolean): ReferenceSet {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new TypeError(`${where}: expected an object of measurements`);
  }
  const set = new Map<PinnableRegister, string>();
  for (const [key, digits] of Object.entries(value) as [string, unknown][]) {
    const register = registerOfKey.get(key);
    if (register === undefined) {
      const allowed = [...registerOfKey.keys()].join(", ");
      throw new TypeError(`${where}: unknown key ${JSON.stringify(key)}, expected ${allowed}`);
    }
    if (digits !== undefined) set.set(register, parseMeasurement(digits, `${where}.${key}`));
  }
  if (requirePcr0 && !set.has(0)) {
    throw new TypeError(`${where}: expected pcr0, without which any image would do`);
  }
  if (set.size === 0) throw new RangeError(`${where}: expected a measurement, received none`);
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
