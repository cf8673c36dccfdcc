/** The text of `grpc-timeout`: up to eight digits and a unit. */

const FORM = /^(\d{1,8})([HMSmun])$/;
const MAX_DIGITS = 99_999_999;
const UNITS = [
  ["m", 1],
  ["S", 1000],
  ["M", 60_000],
  ["H", 3_600_000],
] as const;

/** Milliseconds, rounded up; undefined for text that is no timeout. */
export function parseTimeout(text: string): number | undefined {
  const [, digits, unit] = FORM.exec(text) ?? [];
  if (digits === undefined) return undefined;
  const count = Number(digits);
  if (unit === "n") return Math.ceil(count / 1_000_000);
  if (unit === "u") return Math.ceil(count / 1000);
  const [, unitMs] = UNITS.find(([name]) => name === unit) ?? ["m", 1];
  return count * unitMs;
}

/** The text for a number of milliseconds, rounded up to what eight digits can say. */
export function formatTimeout(timeoutMs: number): string {
  for (const [name, unitMs] of UNITS) {
    const count = Math.max(0, Math.ceil(timeoutMs / unitMs));
    if (count <= MAX_DIGITS) return `${count}${name}`;
  }
  return `${MAX_DIGITS}H`;
}
