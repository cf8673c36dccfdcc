/** What verified evidence says, for a reader and for a program. */
import { encodeHex } from "../attestation/bytes.ts";
import type { VerifiedEvidence } from "../attestation/index.ts";
import type { Row } from "./facts.ts";

/** The facts as JSON has them: byte strings in hexadecimal digits, null for what is absent. */
export function evidenceFacts(evidence: VerifiedEvidence): Readonly<Record<string, unknown>> {
  const { claims, publicKey, userData, challenge } = evidence;
  return {
    ...claims,
    instanceId: claims.instanceId ?? null,
    region: claims.region ?? null,
    publicKey: hexOrNull(publicKey),
    userData: hexOrNull(userData),
    nonce: hexOrNull(challenge),
  };
}

/** The facts as rows. `compared`: the registers that were compared with a reference value. */
export function evidenceRows(evidence: VerifiedEvidence, compared: ReadonlySet<number>): Row[] {
  const { claims, publicKey, userData, challenge } = evidence;
  return [
    ["module_id", claims.moduleId],
    ["instance", claims.instanceId ?? "unknown"],
    ["region", claims.region ?? "unknown"],
    ["made at", formatTime(claims.timestampMs)],
    ["leaf until", formatTime(claims.certificateNotAfterMs)],
    ...Object.entries(claims.pcrs).map(([register, digits]): Row => {
      const note = compared.has(Number(register)) ? "  as expected" : "";
      return [`PCR${register}`, `${formatMeasurement(digits)}${note}`];
    }),
    ["public_key", formatBytes(publicKey)],
    ["user_data", formatBytes(userData)],
    ["nonce", formatBytes(challenge)],
  ];
}

/** A byte string of evidence: length, then digits. */
export function formatBytes(bytes: Uint8Array | undefined): string {
  if (bytes === undefined) return "none";
  return bytes.length === 0 ? "0 bytes" : `${bytes.length} bytes  ${encodeHex(bytes)}`;
}

/** Hexadecimal digits of a register; one that nobody extended is a word. */
export function formatMeasurement(digits: string): string {
  return /^0+$/.test(digits) ? "zero" : digits;
}

/** ISO 8601, also for milliseconds that no calendar has. */
export function formatTime(timeMs: number): string {
  const date = new Date(timeMs);
  return Number.isNaN(date.getTime()) ? "beyond any calendar" : date.toISOString();
}

function hexOrNull(bytes: Uint8Array | undefined): string | null {
  return bytes === undefined ? null : encodeHex(bytes);
}
