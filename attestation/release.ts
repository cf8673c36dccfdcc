/**
 * Releases of a service (docs/protocol.md §B.2): what a signed manifest lists. Checked in one way,
 * whether a manifest is made or read.
 */
import {
  parseReferenceValues,
  pinnableRegisters,
  type ReferenceValues,
} from "./reference-values.ts";

/** `current`: the one to use. `supported`: admitted on request. `revoked`: never admitted. */
export type ReleaseStatus = "current" | "supported" | "revoked";

/** One version of a service, and how to recognise it. */
export interface Release {
  readonly version: string;
  readonly status: ReleaseStatus;
  /** Sets of pcr0 and, where given, pcr1, pcr2, pcr8: one for each image of this version. */
  readonly referenceValues: readonly ReferenceValues[];
}

const statuses: readonly unknown[] = ["current", "supported", "revoked"];
const releaseKeys: readonly string[] = ["version", "status", "referenceValues"];
const imageKeys: readonly string[] = ["pcr0", "pcr1", "pcr2", "pcr8"];
const versionForm = /^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$/;
const maxReleases = 100;
const maxSetsOfRelease = 8;

/**
 * Checks a list of releases and gives it frozen, in lower-case digits. Exactly one is current; no
 * version and no pcr0 is there twice, so that an image has one status.
 *
 * @throws TypeError or RangeError that names the release and the key.
 */
export function parseReleases(value: unknown): readonly Release[] {
  if (!Array.isArray(value)) throw new TypeError("releases: expected a list");
  if (value.length === 0 || value.length > maxReleases) {
    throw new RangeError(`releases: expected 1 to ${maxReleases}, received ${value.length}`);
  }
  const releases = value.map((release: unknown, i) => parseRelease(release, `releases[${i}]`));
  const current = releases.filter(({ status }) => status === "current").length;
  if (current !== 1) {
    throw new RangeError(`releases: expected exactly one current release, received ${current}`);
  }
  requireDistinct(
    releases.map(({ version }) => version),
    "version",
  );
  requireDistinct(
    releases.flatMap(({ referenceValues }) => referenceValues.map(({ pcr0 = "" }) => pcr0)),
    "pcr0",
  );
  return Object.freeze(releases);
}

/**
 * The release that these measurements are of, registers in lower-case hexadecimal digits. At most
 * one, since no two releases share a pcr0.
 */
export function releaseOf(
  releases: readonly Release[],
  pcrs: Readonly<Record<number, string>>,
): Release | undefined {
  const matches = (set: ReferenceValues): boolean =>
    [...pinnableRegisters].every(
      ([key, register]) => set[key] === undefined || set[key] === pcrs[register],
    );
  return releases.find(({ referenceValues }) => referenceValues.some(matches));
}

/**
 * Refuses an object that lacks one of the keys or has another.
 *
 * @throws TypeError that names the key.
 */
export function requireKeys(
  value: unknown,
  keys: readonly string[],
  where: string,
): asserts value is Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new TypeError(`${where}: expected an object with ${keys.join(", ")}`);
  }
  const names = Object.keys(value);
  const unknown = names.find((name) => !keys.includes(name));
  if (unknown !== undefined) {
    const name = JSON.stringify(unknown.slice(0, 64));
    throw new TypeError(`${where}: unknown key ${name}, expected ${keys.join(", ")}`);
  }
  const missing = keys.find((key) => !names.includes(key));
  if (missing !== undefined) throw new TypeError(`${where}: expected ${missing}, received none`);
}

function parseRelease(value: unknown, where: string): Release {
  requireKeys(value, releaseKeys, where);
  const { version, status } = value;
  if (typeof version !== "string" || !versionForm.test(version)) {
    throw new TypeError(
      `${where}.version: expected up to 64 letters, digits, ".", "_", "+", "-", such as 1.4.2`,
    );
  }
  if (!statuses.includes(status)) {
    throw new TypeError(`${where}.status: expected ${statuses.join(", ")}`);
  }
  const list = `${where}.referenceValues`;
  const referenceValues = parseReferenceValues(value["referenceValues"], true, list);
  if (referenceValues.length > maxSetsOfRelease) {
    throw new RangeError(
      `${list}: expected 1 to ${maxSetsOfRelease}, received ${referenceValues.length}`,
    );
  }
  for (const [i, set] of referenceValues.entries()) {
    const other = Object.keys(set).find((key) => !imageKeys.includes(key));
    if (other !== undefined) {
      throw new TypeError(
        `${list}[${i}].${other}: belongs to a deployment, expected ${imageKeys.join(", ")}`,
      );
    }
  }
  return Object.freeze({ version, status: status as ReleaseStatus, referenceValues });
}

function requireDistinct(values: readonly string[], what: string): void {
  const twice = values.find((value, i) => values.indexOf(value) !== i);
  if (twice !== undefined) throw new RangeError(`releases: ${what} ${twice} is there twice`);
}
