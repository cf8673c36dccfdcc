/**
 * The appraisal policy (docs/protocol.md §A.1): what a relying party demands of evidence, checked
 * when it is made.
 */

import { type Certificate, parseCertificate } from "./certificate.ts";
import { decodePem } from "./pem.ts";
import { parseReferenceValues, type ReferenceValues } from "./reference-values.ts";
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

type Key = keyof PolicyOptions;
type Unchecked = { readonly [key in Key]?: unknown };

const keys: ReadonlySet<string> = new Set<Key>([
  "referenceValues",
  "maxAgeMs",
  "futureSkewMs",
  "notBeforeLeewayMs",
  "root",
  "insecureTestRoot",
  "insecureAllowDebug",
  "insecureAnyMeasurement",
  "insecureSkipInstanceBinding",
]);

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

  private constructor(options: Unchecked) {
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
    if (typeof options !== "object" || options === null || Array.isArray(options)) {
      throw new TypeError("policy: expected an object");
    }
    for (const key of Object.keys(options)) {
      if (!keys.has(key)) {
        const names = [...keys].join(", ");
        throw new TypeError(`policy: unknown key ${JSON.stringify(key)}, expected ${names}`);
      }
    }
    return new Policy(options);
  }

  /** Whether a value was made by `Policy.from`, whatever its prototype says. */
  static is(value: unknown): value is Policy {
    return typeof value === "object" && value !== null && #root in value;
  }

  /** DER of the root that evidence must begin at, a copy. */
  get root(): Uint8Array {
    return this.#root.slice();
  }
}

/**
 * Makes a policy of the text of a JSON file with the keys of `PolicyOptions`.
 *
 * @throws SyntaxError, TypeError or RangeError: the file holds no policy.
 */
export function parsePolicyFile(text: string): Policy {
  return Policy.from(JSON.parse(text) as PolicyOptions);
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
