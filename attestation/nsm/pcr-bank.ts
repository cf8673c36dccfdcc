/**
 * The 32 registers of a simulated module. As in an enclave, 0 to 15 are set and locked when it
 * starts, 16 to 31 start as zeros and belong to the application.
 */
import { createHash } from "node:crypto";
import type { NsmErrorName, Pcr } from "./response.ts";

/** How many registers a module has. */
export const PCR_COUNT = 32;
/** Bytes of a register: SHA-384. */
export const PCR_BYTES = 48;
/** Registers below this one are locked from the start. */
const FIRST_FREE = 16;

/** SHA384(48 zero bytes ‖ `data`): a register that was extended once. */
export function extendedOnce(data: Uint8Array): Uint8Array {
  return extended(new Uint8Array(PCR_BYTES), data);
}

function extended(value: Uint8Array, data: Uint8Array): Uint8Array {
  return Uint8Array.from(createHash("sha384").update(value).update(data).digest());
}

/** See the file header. Methods give the module's error name for what it would refuse. */
export class PcrBank {
  readonly #values: Uint8Array[];
  readonly #locked: boolean[];

  /** `initial`: values of registers below 16; the others are zero. */
  constructor(initial: ReadonlyMap<number, Uint8Array>) {
    const indexes = Array.from({ length: PCR_COUNT }, (_, index) => index);
    this.#values = indexes.map((index) => initial.get(index) ?? new Uint8Array(PCR_BYTES));
    this.#locked = indexes.map((index) => index < FIRST_FREE);
  }

  describe(index: number): Pcr | NsmErrorName {
    const value = this.#values[index];
    return value ? { locked: this.#locked[index] === true, value } : "InvalidIndex";
  }

  extend(index: number, data: Uint8Array): Uint8Array | NsmErrorName {
    const value = this.#values[index];
    if (!value) {
      return "InvalidIndex";
    }
    if (this.#locked[index]) {
      return "ReadOnlyIndex";
    }
    return (this.#values[index] = extended(value, data));
  }

  lock(index: number): undefined | NsmErrorName {
    if (index >= PCR_COUNT) {
      return "InvalidIndex";
    }
    if (this.#locked[index]) {
      return "ReadOnlyIndex";
    }
    this.#locked[index] = true;
    return undefined;
  }

  /** Locks every register below `range`; those that are locked stay so. */
  lockBelow(range: number): undefined | NsmErrorName {
    if (range > PCR_COUNT) {
      return "InvalidIndex";
    }
    this.#locked.fill(true, 0, range);
    return undefined;
  }

  /** The registers that can no longer change: those are what a document states. */
  locked(): [index: number, value: Uint8Array][] {
    return [...this.#values.entries()].filter(([index]) => this.#locked[index]);
  }
}
