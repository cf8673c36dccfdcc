/**
 * The chain of certificates from a pinned root down to the key that signed the evidence
 * (docs/protocol.md §A.5, §A.6): linear and in a fixed order, so nothing is searched for and nothing
 * is built. CRL distribution points are ignored, as AWS demands.
 */

import type { CryptoBackend } from "../crypto/backend.ts";
import { equalBytes } from "./bytes.ts";
import { type Certificate, parseCertificate } from "./certificate.ts";
import { AttestationError } from "./errors.ts";
import { chainMemory } from "./verified-chains.ts";

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
  const { complete } = chainMemory(backend);
  const chain = complete.recall([...cabundle, certificate], () =>
    verifySignatures(cabundle, certificate, backend),
  );
  for (const { where, notBeforeMs, notAfterMs } of chain) {
    verifyTime(where, notBeforeMs - notBeforeLeewayMs, notAfterMs, nowMs);
  }
  return chain.at(-1) ?? refuse("expected a certificate, received none");
}

/** Verifies everything of a chain but its times. */
function verifySignatures(
  cabundle: readonly Uint8Array[],
  certificate: Uint8Array,
  backend: CryptoBackend,
): readonly Certificate[] {
  const memory = chainMemory(backend).authorities;
  const authorities = memory.recall(cabundle, () => verifyAuthorities(cabundle, backend));
  const leaf = parseCertificate(certificate, "certificate");
  verifyLink(authorities.at(-1), leaf, backend);
  verifyLeaf(leaf);
  return [...authorities, leaf];
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

function verifyLeaf({ where, basicConstraints, keyUsage }: Certificate): void {
  if (basicConstraints?.ca === true || basicConstraints?.pathLen !== undefined) {
    refuse(`${where}: expected no certificate authority`);
  }
  if (keyUsage?.digitalSignature !== true) {
    refuse(`${where}: expected keyUsage with digitalSignature`);
  }
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
