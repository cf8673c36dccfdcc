/** Values of flags, checked where they are given. */
import { InvalidArgumentError } from "commander";
import { isVsockCid, parseAddress } from "../transport/address.ts";

/** The text of an address. */
export function addressText(text: string): string {
  try {
    parseAddress(text);
  } catch (error) {
    throw new InvalidArgumentError(error instanceof Error ? error.message : "");
  }
  return text;
}

/** A positive whole number. */
export function count(text: string): number {
  if (!/^[1-9]\d{0,14}$/.test(text)) {
    throw new InvalidArgumentError("Expected a positive integer.");
  }
  return Number(text);
}

/** Of a duration's text, each in milliseconds; a number alone is milliseconds. */
const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** A duration, in milliseconds: at least one. */
export function duration(text: string): number {
  const [, number, unit = "ms"] = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text) ?? [];
  const durationMs = Math.round(Number(number) * (UNITS[unit] ?? NaN));
  if (!Number.isSafeInteger(durationMs) || durationMs < 1) {
    throw new InvalidArgumentError("Expected a duration: 500ms, 5s, 2m, 1h, or milliseconds.");
  }
  return durationMs;
}

/** Addresses of VSOCK, one more each time. */
export function cids(text: string, before: readonly number[] = []): readonly number[] {
  const cid = Number(text);
  if (String(cid) !== text || !isVsockCid(cid)) {
    throw new InvalidArgumentError("Expected a CID, 3 for instance.");
  }
  return [...before, cid];
}

/** A time, as milliseconds since the epoch. */
export function time(text: string): number {
  const iso = /^\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d))?$/;
  const timeMs = /^\d+$/.test(text) ? Number(text) : iso.test(text) ? Date.parse(text) : NaN;
  if (Number.isNaN(new Date(timeMs).getTime())) {
    throw new InvalidArgumentError("Expected milliseconds, or 2026-05-21T15:07:37Z.");
  }
  return timeMs;
}
