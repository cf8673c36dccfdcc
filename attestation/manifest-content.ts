/** What a release manifest says (docs/protocol.md §B.2), apart from how it is signed. */
import { AttestationError } from "./errors.ts";
import { parseReleases, type Release, requireKeys } from "./release.ts";

/** The releases of a service, as its signer states them. Frozen. */
export interface ReleaseManifest {
  /** Whose releases these are, so that no other manifest of the same signer passes for this one. */
  readonly service: string;
  /** Grows by every manifest of the service: what is lower than one already seen is an old one. */
  readonly sequence: number;
  /** Milliseconds since the epoch. */
  readonly issuedAtMs: number;
  /** The last millisecond at which it is believed, since the epoch. */
  readonly expiresAtMs: number;
  readonly releases: readonly Release[];
}

const keys: readonly string[] = ["service", "sequence", "issuedAtMs", "expiresAtMs", "releases"];
const serviceForm = /^[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}$/;
/** The last that a Date can hold. */
const maxTimeMs = 8_640_000_000_000_000;

/**
 * Checks what a manifest says.
 *
 * @throws TypeError or RangeError that names the key.
 */
export function parseManifestContent(value: unknown): ReleaseManifest {
  requireKeys(value, keys, "manifest");
  const service = parseService(value["service"]);
  const sequence = parseWhole(value, "sequence", 1, Number.MAX_SAFE_INTEGER);
  const issuedAtMs = parseWhole(value, "issuedAtMs", 0, maxTimeMs);
  const expiresAtMs = parseWhole(value, "expiresAtMs", issuedAtMs + 1, maxTimeMs);
  const releases = parseReleases(value["releases"]);
  return Object.freeze({ service, sequence, issuedAtMs, expiresAtMs, releases });
}

/** @throws AttestationError `manifest-expired`. */
export function requireUnexpired(manifest: ReleaseManifest, nowMs: number): void {
  const { service, sequence, expiresAtMs } = manifest;
  if (nowMs > expiresAtMs) {
    throw new AttestationError(
      "manifest-expired",
      `manifest ${sequence} of ${service} expired at ${new Date(expiresAtMs).toISOString()}`,
    );
  }
}

/** @throws TypeError for text that names no service. */
export function parseService(value: unknown): string {
  if (typeof value !== "string" || !serviceForm.test(value)) {
    throw new TypeError(
      'service: expected up to 128 letters, digits, ".", "_", ":", "/", "-", such as notary.example.com',
    );
  }
  return value;
}

function parseWhole(
  value: Readonly<Record<string, unknown>>,
  key: string,
  least: number,
  most: number,
): number {
  const number = value[key];
  if (typeof number !== "number" || !Number.isSafeInteger(number)) {
    throw new TypeError(`${key}: expected a whole number`);
  }
  if (number < least || number > most) {
    throw new RangeError(`${key}: expected ${least} to ${most}, received ${number}`);
  }
  return number;
}
