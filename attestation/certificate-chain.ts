/**
 * The chain of certificates from a pinned root down to the key that signed the evidence
 * (docs/protocol.md §A.5, §A.6): linear and in a fixed order, so nothing is searched for and nothing
 * is built. CRL distribution points are ignored, as AWS demands.
 */

import type { CryptoBackend } from "../crypto/backend.ts";
import { equalBytes } from "./bytes.ts";
import { type Certificate, parseCertificate } from "./certificate.ts";
import { AttestationError } from "./errors.ts";
import { chainKey, chainMemory } from "./verified-chains.ts";

/** What a chain is verified against. */
export interface ChainOptions {
  /** DER of the pinned root. */
  readonly root: Uint8Array;
  /** The verifier's own clock. */
  readonly nowMs: number;
  /** How far a certificate's notBefore may lie in the future; notAfter has no leeway. */
  readonly notBeforeLeewayMs: number;
  readonly backend: CryptoBackend;
}

/**
 * Verifies the chain and gives the leaf, whose key may then be trusted for one document.
 *
 * A chain that was verified is remembered, as are its authorities, which other leaves share; their
 * times are checked at each use.
 *
 * @throws AttestationError `untrusted-chain`, `certificate-expired`, `certificate-not-yet-valid`.
 */
export function verifyChain(
  cabundle: readonly Uint8Array[],
  certificate: Uint8Array,
  { root, nowMs, notBeforeLeewayMs, backend }: ChainOptions,
): Certificate {
  // Invariant: the anchor is the root's bytes, before anything remembered is looked at. A name, a
  // serial number or a signature by itself is what every forger can have.
  if (cabundle[0] === undefined || !equalBytes(cabundle[0], root)) {
    refuse("cabundle[0]: expected the pinned root, received another certificate");
  }
  const { authorities, complete } = chainMemory(backend);
  const key = chainKey(backend, cabundle);
  const chain = complete.recall(chainKey(backend, [key, certificate]), () => {
    const above = authorities.recall(key, () => verifyAuthorities(cabundle, backend));
    return [...above, verifyLeaf(certificate, above.at(-1), backend)];
  });
  for (const { where, notBeforeMs, notAfterMs } of chain) {
    verifyTime(where, notBeforeMs - notBeforeLeewayMs, notAfterMs, nowMs);
  }
  return chain.at(-1) ?? refuse("expected a certificate, received none");
}

/** Verifies everything of the certificate authorities but their times. The first is the root. */
function verifyAuthorities(
  cabundle: readonly Uint8Array[],
  backend: CryptoBackend,
): readonly Certificate[] {
  const authorities = cabundle.map((encoding, i) => parseCertificate(encoding, `cabundle[${i}]`));
  for (const [i, authority] of authorities.entries()) {
    if (i > 0) verifyLink(authorities[i - 1], authority, backend);
    verifyAuthority(authority, authorities.length - 1 - i);
  }
  return authorities;
}

function verifyAuthority(authority: Certificate, authoritiesBelow: number): void {
  const { where, basicConstraints, keyUsage } = authority;
  if (basicConstraints?.ca !== true || !basicConstraints.critical) {
    refuse(`${where}: expected basicConstraints, critical, with CA:TRUE`);
  }
  if (keyUsage?.keyCertSign !== true) refuse(`${where}: expected keyUsage with keyCertSign`);
  const { pathLen } = basicConstraints;
  if (pathLen !== undefined && authoritiesBelow > pathLen) {
    refuse(`${where}: expected at most ${pathLen} authorities below, received ${authoritiesBelow}`);
  }
}

/** Verifies everything of the leaf but its times. */
function verifyLeaf(
  encoding: Uint8Array,
  issuer: Certificate | undefined,
  backend: CryptoBackend,
): Certificate {
  const leaf = parseCertificate(encoding, "certificate");
  verifyLink(issuer, leaf, backend);
  const { where, basicConstraints, keyUsage } = leaf;
  if (basicConstraints?.ca === true || basicConstraints?.pathLen !== undefined) {
    refuse(`${where}: expected no certificate authority`);
  }
  if (keyUsage?.digitalSignature !== true) {
    refuse(`${where}: expected keyUsage with digitalSignature`);
  }
  return leaf;
}

function verifyLink(
  issuer: Certificate | undefined,
  subject: Certificate,
  backend: CryptoBackend,
): void {
  const { where } = subject;
  if (issuer === undefined || !equalBytes(subject.issuer.encoding, issuer.subject.encoding)) {
    refuse(`${where}: expected the subject of the certificate above as issuer, received another`);
  }
  // A certificate that issues itself would let the root stand in the chain twice.
  if (equalBytes(subject.issuer.encoding, subject.subject.encoding)) {
    refuse(`${where}: expected an issuer other than the subject`);
  }
  if (!backend.verifyP384(issuer.publicKey, subject.signedBytes, subject.signature)) {
    refuse(`${where}: its signature is not of the certificate above`);
  }
}

function verifyTime(where: string, fromMs: number, untilMs: number, nowMs: number): void {
  if (nowMs < fromMs) {
    throw new AttestationError(
      "certificate-not-yet-valid",
      `${where}: expected a time from ${formatTime(fromMs)} on, received ${formatTime(nowMs)}`,
    );
  }
  if (nowMs > untilMs) {
    throw new AttestationError(
      "certificate-expired",
      `${where}: expected a time until ${formatTime(untilMs)}, received ${formatTime(nowMs)}`,
    );
  }
}

function formatTime(timeMs: number): string {
  return new Date(timeMs).toISOString();
}

function refuse(what: string): never {
  throw new AttestationError("untrusted-chain", what);
}
