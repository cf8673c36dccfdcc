/** Bounds that a user may set: each a positive integer, and a default where none is given. */

/**
 * Fills a set of bounds up with its defaults.
 *
 * @throws RangeError for a bound that is none, or is no positive integer.
 */
export function completeLimits<Limits extends object>(
  defaults: Limits,
  given: Partial<Limits> = {},
): Limits {
  const limits = { ...defaults, ...given };
  for (const [name, value] of Object.entries(limits)) {
    if (!Object.hasOwn(defaults, name)) throw new RangeError(`there is no limit ${name}`);
    requirePositiveInteger(name, value);
  }
  return limits;
}

/** @throws RangeError when the value is no positive integer. */
export function requirePositiveInteger(name: string, value: unknown): void {
  if (!Number.isSafeInteger(value) || Number(value) <= 0) {
    throw new RangeError(`${name} is ${String(value)}, expected a positive integer`);
  }
}
