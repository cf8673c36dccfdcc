/**
 * Policies in JSON files. The keys are those of `PolicyOptions`; instead of reference values a file
 * may name a signed release manifest (docs/protocol.md, appendix B) and its signer's key.
 */
import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { Policy } from "../../attestation/policy.ts";
import type { ManifestPolicyOptions, PolicyOptions } from "../../attestation/policy.ts";
import type { SignerKey } from "../../attestation/release-manifest.ts";
import { readSequence, raiseSequence } from "./sequence-file.ts";

/** What a policy file says of a release manifest. Files are looked for beside the policy file. */
export interface ReleaseManifestSource extends Pick<
  ManifestPolicyOptions,
  "service" | "accept" | "deployments"
> {
  /** The manifest itself, or… */
  readonly manifest?: string;
  /** … the file that holds it. */
  readonly manifestFile?: string;
  /** The signer's key as PEM or JWK, or… */
  readonly signerKey?: SignerKey | readonly SignerKey[];
  /** … the file that holds it; several while the signer changes its key. */
  readonly signerKeyFile?: string | readonly string[];
  /**
   * Where the highest sequence number is remembered; made when it is not there yet. Without it a
   * manifest that is older than the last one is taken until it expires.
   */
  readonly stateFile?: string;
}

const sourceKeys: readonly string[] = [
  "manifest",
  "manifestFile",
  "signerKey",
  "signerKeyFile",
  "service",
  "accept",
  "deployments",
  "stateFile",
] satisfies readonly (keyof ReleaseManifestSource)[];

/**
 * Reads a policy from a JSON file, and the manifest and the key that it names. Read it again, and
 * give the result to `updatePolicy`, when there is a new manifest.
 *
 * @throws AttestationError as `Policy.fromManifest`; SyntaxError, TypeError or RangeError: the file
 * holds no policy; what node:fs throws of files that cannot be read or written.
 */
export async function readPolicyFile(file: string): Promise<Policy> {
  return policyOfFile(JSON.parse(await readFile(file, "utf8")), dirname(file));
}

/**
 * The policy that the value of a policy file describes.
 *
 * @throws as {@link readPolicyFile}.
 */
export async function policyOfFile(value: unknown, folder: string): Promise<Policy> {
  if (typeof value !== "object" || value === null || !("releaseManifest" in value)) {
    return Policy.from(value as PolicyOptions);
  }
  const { releaseManifest, ...others } = value;
  const source = checkSource(releaseManifest);
  const { stateFile, service, accept, deployments } = source;
  const manifest = await textOf(source, folder);
  const signerKey = source.signerKey ?? (await keysOf(source.signerKeyFile, folder));
  return policyOfManifest(
    manifest,
    {
      ...(others as Omit<ManifestPolicyOptions, "signerKey">),
      signerKey,
      ...(service === undefined ? {} : { service }),
      ...(accept === undefined ? {} : { accept }),
      ...(deployments === undefined ? {} : { deployments }),
    },
    stateFile === undefined ? undefined : resolve(folder, stateFile),
  );
}

/**
 * `Policy.fromManifest`, with the sequence number that `stateFile` remembers, and remembering the
 * new one there.
 *
 * @throws as {@link readPolicyFile}.
 */
export async function policyOfManifest(
  manifest: string,
  options: ManifestPolicyOptions,
  stateFile: string | undefined,
): Promise<Policy> {
  if (stateFile === undefined) return Policy.fromManifest(manifest, options);
  const seen = await readSequence(stateFile);
  const { service = seen?.service } = options;
  if (seen !== undefined && seen.service !== service) {
    throw new TypeError(`${stateFile}: remembers ${seen.service}, expected ${service}`);
  }
  const policy = await Policy.fromManifest(manifest, {
    ...options,
    ...(service === undefined ? {} : { service }),
    lastSequence: Math.max(seen?.sequence ?? 0, options.lastSequence ?? 0),
  });
  if (policy.manifest !== undefined) await raiseSequence(stateFile, policy.manifest);
  return policy;
}

/**
 * A signer's key as a file has it: PEM, or JWK.
 *
 * @throws SyntaxError for what begins like a JWK and is no JSON; what node:fs throws.
 */
export async function readSignerKey(file: string): Promise<SignerKey> {
  const text = await readFile(file, "utf8");
  return text.trimStart().startsWith("{") ? (JSON.parse(text) as SignerKey) : text;
}

function checkSource(value: unknown): ReleaseManifestSource {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new TypeError(`releaseManifest: expected an object of ${sourceKeys.join(", ")}`);
  }
  const unknown = Object.keys(value).find((key) => !sourceKeys.includes(key));
  if (unknown !== undefined) {
    const names = sourceKeys.join(", ");
    throw new TypeError(
      `releaseManifest: unknown key ${JSON.stringify(unknown)}, expected ${names}`,
    );
  }
  const source = value as ReleaseManifestSource;
  requireOne(source, "manifest", "manifestFile");
  requireOne(source, "signerKey", "signerKeyFile");
  const { manifestFile, stateFile, signerKeyFile } = source;
  for (const file of [manifestFile, stateFile, signerKeyFile ?? []].flat()) {
    if (file !== undefined && typeof file !== "string") {
      throw new TypeError("releaseManifest: expected the names of files as text");
    }
  }
  return source;
}

function requireOne(
  source: ReleaseManifestSource,
  first: keyof ReleaseManifestSource,
  second: keyof ReleaseManifestSource,
): void {
  if ((source[first] === undefined) === (source[second] === undefined)) {
    throw new TypeError(`releaseManifest: expected either ${first} or ${second}`);
  }
}

async function textOf(
  { manifest, manifestFile = "" }: ReleaseManifestSource,
  folder: string,
): Promise<string> {
  return manifest ?? readFile(resolve(folder, manifestFile), "utf8");
}

async function keysOf(
  files: string | readonly string[] = [],
  folder: string,
): Promise<readonly SignerKey[]> {
  return Promise.all([files].flat().map(async (file) => readSignerKey(resolve(folder, file))));
}
