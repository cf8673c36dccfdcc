/**
 * Signed release manifests (docs/protocol.md, appendix B): which releases of a service there are, in
 * a compact JWS under the key of whoever publishes them. Signatures run in the platform's WebCrypto.
 */
import { CompactSign } from "jose/jws/compact/sign";
import { compactVerify } from "jose/jws/compact/verify";
import { importJWK, importPKCS8, importSPKI } from "jose/key/import";

import { AttestationError } from "./errors.ts";
import {
  parseManifestContent,
  parseService,
  type ReleaseManifest,
  requireUnexpired,
} from "./manifest-content.ts";
import { decodePem } from "./pem.ts";

/** A P-384 public key as JWK (RFC 7517); other members are passed over. */
export interface SignerJwk {
  readonly kty: string;
  readonly crv: string;
  readonly x: string;
  readonly y: string;
}

/** The public key of a signer: PEM (SPKI) or JWK. */
export type SignerKey = string | SignerJwk;

/** What a manifest is verified against. */
export interface ManifestVerifyOptions {
  /** Whose signature counts; several while the signer changes its key. */
  readonly signerKey: SignerKey | readonly SignerKey[];
  /** Whose releases they must be. Without it those of any service of this signer will do. */
  readonly service?: string;
  /** The highest sequence number that was ever seen of the service; 0 unless given. */
  readonly lastSequence?: number;
  /** The verifier's clock in milliseconds since the epoch; the system's unless given. */
  readonly now?: number;
}

const algorithm = "ES384";
const type = "sealrpc-release-manifest";
const maxManifestCharacters = 128 * 1024;
const maxSigners = 8;
/** How far clocks of signer and verifier may differ. */
const maxIssuedAheadMs = 300_000;
const form = /^([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]{128}$/;

type ImportedKey = Awaited<ReturnType<typeof importSPKI>>;

/**
 * Verifies a manifest, in this order; the error's code names the first check that fails:
 *
 * 1. form, header, signature, content, service, not from the future: `manifest-rejected`;
 * 2. the sequence number is not below `lastSequence`: `manifest-rolled-back`;
 * 3. the time: `manifest-expired`.
 *
 * Not checked: that there is no newer one. Remember `sequence` and give it as `lastSequence`.
 *
 * @throws AttestationError as above; TypeError or RangeError for arguments that cannot be meant.
 */
export async function verifyReleaseManifest(
  text: string,
  options: ManifestVerifyOptions,
): Promise<ReleaseManifest> {
  const { service, lastSequence = 0, now: nowMs = Date.now() } = options;
  if (service !== undefined) parseService(service);
  if (!Number.isSafeInteger(lastSequence) || lastSequence < 0) {
    throw new RangeError(`lastSequence: expected a whole number, received ${lastSequence}`);
  }
  if (typeof nowMs !== "number" || Number.isNaN(new Date(nowMs).getTime())) {
    throw new RangeError(`now: expected milliseconds since the epoch, received ${nowMs}`);
  }
  const signers = await importSigners(options.signerKey);
  const { jws, payload } = parseEnvelope(text);
  await verifySignature(jws, signers);
  const manifest = parsePayload(payload);
  if (service !== undefined && manifest.service !== service) {
    throw rejected(`expected the releases of ${service}, received those of ${manifest.service}`);
  }
  if (manifest.issuedAtMs - nowMs > maxIssuedAheadMs) {
    throw rejected(`issued ${manifest.issuedAtMs - nowMs} ms ahead of this clock`);
  }
  if (manifest.sequence < lastSequence) {
    throw new AttestationError(
      "manifest-rolled-back",
      `${manifest.service}: expected a sequence number from ${lastSequence} on, received ${manifest.sequence}`,
    );
  }
  requireUnexpired(manifest, nowMs);
  return manifest;
}

/**
 * What a manifest says, for a reader. Invariant: nothing is believed of it, since the signature is
 * not verified.
 *
 * @throws AttestationError `manifest-rejected`.
 */
export function parseUnverifiedManifest(text: string): ReleaseManifest {
  return parsePayload(parseEnvelope(text).payload);
}

/**
 * Signs a manifest with a P-384 key in PEM (PKCS #8).
 *
 * @throws TypeError or RangeError for content that no verifier would take, or for another key.
 */
export async function signReleaseManifest(
  manifest: ReleaseManifest,
  privateKey: string,
): Promise<string> {
  const payload = new TextEncoder().encode(JSON.stringify(parseManifestContent(manifest)));
  let key: ImportedKey;
  try {
    key = await importPKCS8(privateKey.trim(), algorithm);
  } catch {
    // The cause might quote the key.
    throw new TypeError("privateKey: expected a P-384 private key as PEM (PKCS #8)");
  }
  const signature = new CompactSign(payload).setProtectedHeader({ alg: algorithm, typ: type });
  const text = await signature.sign(key);
  if (text.length > maxManifestCharacters) {
    throw new RangeError(
      `manifest: expected up to ${maxManifestCharacters} characters, received ${text.length}`,
    );
  }
  return text;
}

/** The parts of a JWS whose header is the only one there is. */
function parseEnvelope(text: string): { readonly jws: string; readonly payload: string } {
  if (typeof text !== "string") throw new TypeError("manifest: expected text");
  const jws = text.length > maxManifestCharacters ? "" : text.trimEnd();
  const [, header, payload] = form.exec(jws) ?? [];
  if (header === undefined || payload === undefined) {
    throw rejected(`expected a compact JWS of up to ${maxManifestCharacters} characters`);
  }
  // Invariant: the signer's key, not the manifest, says how the signature is verified; and nothing
  // that a header could ask for beside it (crit, b64, keys of its own) is there.
  const { alg, typ, ...others } = parseObject(header, "header");
  if (alg !== algorithm || typ !== type || Object.keys(others).length > 0) {
    throw rejected(`header: expected alg ${algorithm} and typ ${type}, and nothing else`);
  }
  return { jws, payload };
}

async function verifySignature(jws: string, signers: readonly ImportedKey[]): Promise<void> {
  for (const signer of signers) {
    try {
      await compactVerify(jws, signer, { algorithms: [algorithm] });
      return;
    } catch {
      // Of another signer, perhaps.
    }
  }
  throw rejected("not signed by the signer's key");
}

function parsePayload(payload: string): ReleaseManifest {
  const content = parseObject(payload, "payload");
  try {
    return parseManifestContent(content);
  } catch (cause) {
    throw rejected((cause as Error).message, cause);
  }
}

function parseObject(base64url: string, where: string): Readonly<Record<string, unknown>> {
  const text = decodeText(base64url, where);
  let value: unknown;
  let rewritten: string;
  try {
    value = JSON.parse(text);
    rewritten = JSON.stringify(value);
  } catch (cause) {
    throw rejected(`${where}: not JSON`, cause);
  }
  // A key that is there twice would be read differently by different parsers.
  if (rewritten !== text || typeof value !== "object" || value === null || Array.isArray(value)) {
    throw rejected(`${where}: expected a JSON object without white space, every key once`);
  }
  return value as Readonly<Record<string, unknown>>;
}

function decodeText(base64url: string, where: string): string {
  try {
    const binary = atob(base64url.replaceAll("-", "+").replaceAll("_", "/"));
    const bytes = Uint8Array.from(binary, (character) => character.charCodeAt(0));
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw rejected(`${where}: not UTF-8 in base64url`, cause);
  }
}

async function importSigners(
  signerKey: SignerKey | readonly SignerKey[],
): Promise<readonly ImportedKey[]> {
  const keys: readonly unknown[] = Array.isArray(signerKey) ? signerKey : [signerKey];
  if (keys.length === 0 || keys.length > maxSigners) {
    throw new RangeError(`signerKey: expected 1 to ${maxSigners} keys, received ${keys.length}`);
  }
  return Promise.all(keys.map(importSigner));
}

async function importSigner(key: unknown): Promise<ImportedKey> {
  try {
    if (typeof key === "string" && decodePem(key, "PUBLIC KEY") !== undefined) {
      return await importSPKI(key.trim(), algorithm);
    }
    if (typeof key === "object" && key !== null && !("d" in key)) {
      const { kty, crv, x, y } = key as SignerJwk;
      const imported = kty === "EC" ? await importJWK({ kty, crv, x, y }, algorithm) : undefined;
      if (imported !== undefined && !(imported instanceof Uint8Array)) return imported;
    }
  } catch (cause) {
    throw new TypeError(`signerKey: ${expectedSigner}`, { cause });
  }
  throw new TypeError(`signerKey: ${expectedSigner}`);
}

const expectedSigner = "expected a P-384 public key, as PEM (BEGIN PUBLIC KEY) or as JWK";

function rejected(message: string, cause?: unknown): AttestationError {
  return new AttestationError("manifest-rejected", message, { cause });
}
