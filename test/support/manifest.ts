/** Release manifests for tests: a signer, one service with a release of each status, any JWS. */
import { generateKeyPairSync, sign } from "node:crypto";
import type { ReleaseManifest } from "../../attestation/manifest-content.ts";
import type { Release } from "../../attestation/release.ts";

/** A key pair as PEM. */
export interface Signer {
  readonly privateKey: string;
  readonly publicKey: string;
}

export function makeSigner(namedCurve = "P-384"): Signer {
  const { privateKey, publicKey } = generateKeyPairSync("ec", {
    namedCurve,
    privateKeyEncoding: { format: "pem", type: "pkcs8" },
    publicKeyEncoding: { format: "pem", type: "spki" },
  });
  return { privateKey, publicKey };
}

export const signer: Signer = makeSigner();
export const service = "notary.example.com";
export const issuedAtMs: number = Date.UTC(2026, 2, 14);
export const expiresAtMs: number = Date.UTC(2026, 3, 14);
/** A time at which the manifest is believed. */
export const now: number = Date.UTC(2026, 2, 20);

/** A register filled with one byte, in digits. */
export function pcr(byte: number): string {
  return byte.toString(16).padStart(2, "0").repeat(48);
}

/** Their pcr0 are filled with 1, 2 and 3. */
export const releases: readonly Release[] = [
  { version: "2.0.0", status: "current", referenceValues: [{ pcr0: pcr(1) }] },
  { version: "1.9.0", status: "supported", referenceValues: [{ pcr0: pcr(2) }] },
  { version: "1.8.0", status: "revoked", referenceValues: [{ pcr0: pcr(3) }] },
];

export function manifestWith(changes: Partial<ReleaseManifest> = {}): ReleaseManifest {
  return { service, sequence: 7, issuedAtMs, expiresAtMs, releases, ...changes };
}

export const header = { alg: "ES384", typ: "sealrpc-release-manifest" } as const;

/** What a JWS is made with, where a test wants it otherwise. */
export interface JwsOptions {
  readonly protectedHeader?: unknown;
  readonly privateKey?: string;
  readonly hash?: string;
}

/** A JWS of any header and payload; text and bytes are taken as they are. */
export function jwsOf(payload: unknown, options: JwsOptions = {}): string {
  const { protectedHeader = header, privateKey = signer.privateKey, hash = "sha384" } = options;
  const part = (value: unknown): string => {
    if (value instanceof Uint8Array) return Buffer.from(value).toString("base64url");
    const text = typeof value === "string" ? value : JSON.stringify(value);
    return Buffer.from(text).toString("base64url");
  };
  const input = `${part(protectedHeader)}.${part(payload)}`;
  const signature = sign(hash, Buffer.from(input), { key: privateKey, dsaEncoding: "ieee-p1363" });
  return `${input}.${signature.toString("base64url")}`;
}
