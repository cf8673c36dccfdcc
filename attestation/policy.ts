/**
 * The appraisal policy (docs/protocol.md §A.1): what a relying party demands of evidence, checked
 * when it is made.
 */

import { type Certificate, parseCertificate } from "./certificate.ts";
import type { ReleaseManifest } from "./manifest-content.ts";
import { decodePem } from "./pem.ts";
import { parseReferenceValues, type ReferenceValues } from "./reference-values.ts";
import { type Release, releaseOf } from "./release.ts";
import { type ManifestVerifyOptions, verifyReleaseManifest } from "./release-manifest.ts";
import { awsRootPem } from "./root.ts";

/** What a policy is made of, in code or in a JSON file. There are no other keys. */
export interface PolicyOptions {
  /** Sets of measurements, any of which will do. Each pins pcr0 at least. */
  readonly referenceValues?: readonly ReferenceValues[];
  /** The oldest document that is accepted, in milliseconds: 300000 unless given. */
  readonly maxAgeMs?: number;
  /** How far a document may be ahead of the verifier's clock, in milliseconds: 300000 unless given. */
  readonly futureSkewMs?: number;
  /** How far a certificate's notBefore may be ahead of it, in milliseconds: 60000 unless given. */
  readonly notBeforeLeewayMs?: number;
  /** The root of another AWS partition, as PEM or DER. The commercial one unless given. */
  readonly root?: string | Uint8Array;
  /** A root that AWS does not own, as PEM or DER: whoever holds its key makes any evidence. */
  readonly insecureTestRoot?: string | Uint8Array;
  /** Admits debug enclaves, which their host can read; PCR0, 1, 2 and 8 of those are not compared. */
  readonly insecureAllowDebug?: boolean;
  /** Makes pcr0, and the whole list, optional: evidence of any image will do. */
  readonly insecureAnyMeasurement?: boolean;
  /** Does not tie the document to its leaf certificate and to PCR4. */
  readonly insecureSkipInstanceBinding?: boolean;
}

/** What a policy is made of whose measurements come from a signed manifest. There are no other keys. */
export interface ManifestPolicyOptions
  extends
    Omit<PolicyOptions, "referenceValues" | "insecureAnyMeasurement">,
    Omit<ManifestVerifyOptions, "now"> {
  /** Which releases are admitted: the current one alone, unless `supported` asks for those too. */
  readonly accept?: "current" | "supported";
  /**
   * Sets of pcr3 and pcr4, any of which will do, for whoever wants the releases from a deployment
   * that is theirs. A manifest speaks of images only.
   */
  readonly deployments?: readonly Pick<ReferenceValues, "pcr3" | "pcr4">[];
  /** The clock for the manifest, in milliseconds since the epoch; the system's unless given. */
  readonly now?: number;
}

type Key = keyof PolicyOptions;
type Unchecked = { readonly [key in Key]?: unknown };

/** The keys that a policy has whatever its measurements come from. */
const besideMeasurements = [
  "maxAgeMs",
  "futureSkewMs",
  "notBeforeLeewayMs",
  "root",
  "insecureTestRoot",
  "insecureAllowDebug",
  "insecureSkipInstanceBinding",
] as const satisfies readonly Key[];
const keys: ReadonlySet<string> = new Set<Key>([
  "referenceValues",
  ...besideMeasurements,
  "insecureAnyMeasurement",
]);

const manifestKeys: ReadonlySet<string> = new Set<keyof ManifestPolicyOptions>([
  "signerKey",
  "service",
  "accept",
  "deployments",
  "lastSequence",
  "now",
  ...besideMeasurements,
]);

interface AdmittedReleases {
  readonly manifest: ReleaseManifest;
  readonly accept: "current" | "supported";
}

/** A policy that was checked. It cannot be changed, and nothing else passes for it. */
export class Policy {
  /** As given, in lower-case digits. Empty only under insecureAnyMeasurement. */
  readonly referenceValues: readonly ReferenceValues[];
  readonly maxAgeMs: number;
  readonly futureSkewMs: number;
  readonly notBeforeLeewayMs: number;
  readonly insecureAllowDebug: boolean;
  readonly insecureAnyMeasurement: boolean;
  readonly insecureSkipInstanceBinding: boolean;
  readonly #root: Uint8Array;
  readonly #admitted: AdmittedReleases | undefined;

  private constructor(options: Unchecked, admitted?: AdmittedReleases) {
    this.#admitted = admitted;
    this.insecureAllowDebug = parseFlag(options, "insecureAllowDebug");
    this.insecureAnyMeasurement = parseFlag(options, "insecureAnyMeasurement");
    this.insecureSkipInstanceBinding = parseFlag(options, "insecureSkipInstanceBinding");
    this.referenceValues = parseReferenceValues(
      options.referenceValues,
      !this.insecureAnyMeasurement,
    );
    this.maxAgeMs = parseDuration(options, "maxAgeMs", { preset: 300_000, least: 1 });
    this.futureSkewMs = parseDuration(options, "futureSkewMs", { preset: 300_000, least: 0 });
    this.notBeforeLeewayMs = parseDuration(options, "notBeforeLeewayMs", {
      preset: 60_000,
      least: 0,
    });
    this.#root = parsePinnedRoot(options);
    Object.freeze(this);
  }

  /**
   * Checks the options and makes a policy of them.
   *
   * @throws TypeError or RangeError that names the key: unknown, of the wrong type, a measurement
   * that is missing, all zero or not 48 bytes, a root that cannot be one.
   */
  static from(options: PolicyOptions): Policy {
    checkKeys(options, keys);
    return new Policy(options);
  }

  /**
   * Verifies a release manifest and makes a policy of the releases that it admits. Once the manifest
   * has expired, the policy admits no evidence: make another of a newer manifest before.
   *
   * Invariant: only with `lastSequence`, the highest `manifest.sequence` that this relying party has
   * ever had, an old manifest with a release that was revoked since is noticed. Keeping it is up to the caller.
   *
   * @throws AttestationError `manifest-rejected`, `manifest-rolled-back`, `manifest-expired`;
   * TypeError or RangeError that names the key, as `Policy.from`.
   */
  static async fromManifest(manifest: string, options: ManifestPolicyOptions): Promise<Policy> {
    checkKeys(options, manifestKeys);
    const { signerKey, service, lastSequence, now, accept, deployments, ...others } = options;
    if (accept !== undefined && accept !== "current" && accept !== "supported") {
      throw new TypeError("accept: expected current or supported");
    }
    const places = parseDeployments(deployments);
    const verified = await verifyReleaseManifest(manifest, {
      signerKey,
      ...(service === undefined ? {} : { service }),
      ...(lastSequence === undefined ? {} : { lastSequence }),
      ...(now === undefined ? {} : { now }),
    });
    const admitted: AdmittedReleases = { manifest: verified, accept: accept ?? "current" };
    const referenceValues = verified.releases
      .filter(({ status }) => status === "current" || status === admitted.accept)
      .flatMap((release) => release.referenceValues)
      .flatMap((set) => places.map((place) => ({ ...set, ...place })));
    return new Policy({ ...others, referenceValues }, admitted);
  }

  /** Whether a value was made by `Policy.from` or `Policy.fromManifest`, whatever its prototype says. */
  static is(value: unknown): value is Policy {
    return typeof value === "object" && value !== null && #root in value;
  }

  /** The manifest that it was made of. Its `sequence` is the next policy's `lastSequence`. */
  get manifest(): ReleaseManifest | undefined {
    return this.#admitted?.manifest;
  }

  /** Which releases of the manifest are admitted. */
  get accept(): "current" | "supported" | undefined {
    return this.#admitted?.accept;
  }

  /** The manifest's release that these claims are of, admitted or not. */
  releaseOf({ pcrs }: { readonly pcrs: Readonly<Record<number, string>> }): Release | undefined {
    return this.manifest && releaseOf(this.manifest.releases, pcrs);
  }

  /** DER of the root that evidence must begin at, a copy. */
  get root(): Uint8Array {
    return this.#root.slice();
  }
}

/**
 * Makes a policy of the text of a JSON file with the keys of `PolicyOptions`. Not of one that names a
 * release manifest: `readPolicyFile` of the client also reads those.
 *
 * @throws SyntaxError, TypeError or RangeError: the file holds no policy.
 */
export function parsePolicyFile(text: string): Policy {
  return Policy.from(JSON.parse(text) as PolicyOptions);
}

function checkKeys(options: object, known: ReadonlySet<string>): void {
  if (typeof options !== "object" || options === null || Array.isArray(options)) {
    throw new TypeError("policy: expected an object");
  }
  for (const key of Object.keys(options)) {
    if (!known.has(key)) {
      const names = [...known].join(", ");
      throw new TypeError(`policy: unknown key ${JSON.stringify(key)}, expected ${names}`);
    }
  }
}

/** Sets to join to those of the releases; one empty set where any deployment will do. */
function parseDeployments(value: unknown): readonly ReferenceValues[] {
  if (value === undefined) return [{}];
  const places = parseReferenceValues(value, false, "deployments");
  for (const [i, place] of places.entries()) {
    const other = Object.keys(place).find((key) => key !== "pcr3" && key !== "pcr4");
    if (other !== undefined) {
      throw new TypeError(`deployments[${i}].${other}: expected pcr3 and pcr4 only`);
    }
  }
  return places;
}

function parseFlag(options: Unchecked, key: Key): boolean {
  const value = options[key];
  if (value === undefined) return false;
  if (typeof value !== "boolean") throw new TypeError(`${key}: expected true or false`);
  return value;
}

function parseDuration(
  options: Unchecked,
  key: Key,
  { preset, least }: { readonly preset: number; readonly least: number },
): number {
  const value = options[key];
  if (value === undefined) return preset;
  if (typeof value !== "number") throw new TypeError(`${key}: expected milliseconds`);
  if (!Number.isSafeInteger(value) || value < least) {
    throw new RangeError(`${key}: expected whole milliseconds from ${least} on, received ${value}`);
  }
  return value;
}

function parsePinnedRoot({ root, insecureTestRoot }: Unchecked): Uint8Array {
  if (insecureTestRoot !== undefined) {
    if (root !== undefined) {
      throw new TypeError("root and insecureTestRoot: expected one of them, received both");
    }
    return parseRoot(insecureTestRoot, "insecureTestRoot").encoding;
  }
  const certificate = parseRoot(root === undefined ? awsRootPem : root, "root");
  // A guard against a mix-up, and no more: names prove nothing. What protects the relying party is
  // that it pins the bytes of a root that it has from AWS.
  if (certificate.subject.organization === "sealrpc simulator") {
    throw new TypeError("root: this is a simulator's root, which only insecureTestRoot takes");
  }
  if (!/^[a-z0-9-]+\.nitro-enclaves$/.test(certificate.subject.commonName ?? "")) {
    throw new TypeError("root: expected the common name PARTITION.nitro-enclaves");
  }
  return certificate.encoding;
}

function parseRoot(value: unknown, key: string): Certificate {
  const encoding = typeof value === "string" ? decodePem(value) : value;
  if (!(encoding instanceof Uint8Array)) {
    throw new TypeError(`${key}: expected one certificate as PEM text or DER bytes`);
  }
  let certificate: Certificate;
  try {
    certificate = parseCertificate(new Uint8Array(encoding), key);
  } catch (cause) {
    throw new TypeError(`${key}: expected a certificate of a P-384 authority`, { cause });
  }
  if (certificate.basicConstraints?.ca !== true || certificate.keyUsage?.keyCertSign !== true) {
    throw new TypeError(`${key}: expected the certificate of an authority`);
  }
  return certificate;
}
