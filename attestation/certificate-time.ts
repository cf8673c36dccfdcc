/** Times in certificates, in the only forms that RFC 5280 §4.1.2.5 allows. */

import { excerptText } from "./bytes.ts";
import { derTag, type DerReader } from "./der.ts";

/**
 * Reads UTCTime `YYMMDDHHMMSSZ` for the years 1950 to 2049 or GeneralizedTime `YYYYMMDDHHMMSSZ` from
 * 2050 on, in milliseconds since the epoch. A day or an hour that does not exist is refused, never
 * carried over.
 */
export function readTime(reader: DerReader): number {
  const { tag, content } = reader.read(derTag.utcTime, derTag.generalizedTime);
  const text = String.fromCharCode(...content.subarray(0, 16));
  const isUtc = tag === derTag.utcTime;
  if (!(isUtc ? /^\d{12}Z$/ : /^\d{14}Z$/).test(text)) {
    reader.refuse(`expected a time in seconds with Z, received ${excerptText(text)}`);
  }
  const century = isUtc ? (Number(text.slice(0, 2)) < 50 ? "20" : "19") : "";
  const [year, month, day, hour, minute, second] = fields(`${century}${text}`);
  if (!isUtc && year < 2050) reader.refuse("expected UTCTime for a year before 2050");
  const timeMs = Date.UTC(year, month - 1, day, hour, minute, second);
  const iso = new Date(timeMs).toISOString();
  if (iso.replaceAll(/[-:T]/g, "").slice(0, 14) !== `${century}${text}`.slice(0, 14)) {
    reader.refuse(`time that does not exist: ${text}`);
  }
  return timeMs;
}

function fields(text: string): readonly [number, number, number, number, number, number] {
  const at = (start: number, end: number) => Number(text.slice(start, end));
  return [at(0, 4), at(4, 6), at(6, 8), at(8, 10), at(10, 12), at(12, 14)];
}
