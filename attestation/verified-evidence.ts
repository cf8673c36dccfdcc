/**
 * The verifier (docs/protocol.md, appendix A). Evidence goes in as bytes; what comes out is the only
 * object through which the rest of the project learns what an enclave claims.
 */

import { defaultBackend } from "#default-backend";
import type { CryptoBackend } from "../crypto/backend.ts";
import {
  appraiseAge,
  appraiseChallenge,
  appraiseDebug,
  appraiseManifest,
  appraiseMeasurements,
  appraisePublicKey,
  appraiseUserData,
  isDebug,
} from "./appraisal.ts";
import { encodeHex, equalBytes } from "./bytes.ts";
import type { Certificate } from "./certificate.ts";
import { verifyChain } from "./certificate-chain.ts";
import { parseEnvelope } from "./cose.ts";
import { type AttestationDocument, parseDocument } from "./document.ts";
import { AttestationError } from "./errors.ts";
import { instanceOf, verifyInstance } from "./instance-binding.ts";
import { Policy } from "./policy.ts";

/** What an enclave was found to be. Frozen; none of it is secret. */
export interface Claims {
  /** The enclave's name, `i-…-enc…`. */
  readonly moduleId: string;
  /** EC2's name of the host. Undefined only where the policy skips the instance binding. */
  readonly instanceId: string | undefined;
  /** AWS's name of the region. Undefined only where the policy skips the instance binding. */
  readonly region: string | undefined;
  /** When the document was made, by the module's clock. */
  readonly timestampMs: number;
  /** When the certificate of the key that signed the document ends; 15 minutes later or 3 hours. */
  readonly certificateNotAfterMs: number;
  /** Register to 96 lower-case hexadecimal digits. 0 to 15 and those that the enclave locked. */
  readonly pcrs: Readonly<Record<number, string>>;
  /** The host can read this enclave: only where the policy has insecureAllowDebug. */
  readonly debug: boolean;
}

/** What evidence is verified against. */
export interface VerifyOptions {
  readonly policy: Policy;
  /** What the caller sent for this evidence alone, at least 16 bytes. Without it a replay is not noticed. */
  readonly challenge?: Uint8Array;
  /** What the user_data field must be, byte for byte. */
  readonly userData?: Uint8Array;
  /** How long the public_key field must be; 0: absent or empty. */
  readonly publicKeyBytes?: number;
  /**
   * The verifier's clock in milliseconds since the epoch; the system's unless given. Given is how
   * archived evidence is verified as of a time, which the evidence itself must not choose.
   */
  readonly now?: number;
  /** Where signatures are verified; the default of the platform unless given. */
  readonly backend?: CryptoBackend;
}

const minChallengeBytes = 16;

/**
 * Evidence that passed every check, and the only way to hold its claims.
 *
 * Opening a session takes this type and nothing weaker, so forgetting to verify is a compile error,
 * not a missing `if`. The private fields make the class nominal: no look-alike fits.
 */
export class VerifiedEvidence {
  readonly #document: AttestationDocument;
  readonly #leaf: Certificate;
  readonly #root: Uint8Array;
  readonly #backend: CryptoBackend;
  readonly #claims: Claims;

  private constructor(
    document: AttestationDocument,
    leaf: Certificate,
    root: Uint8Array,
    backend: CryptoBackend,
  ) {
    this.#document = document;
    this.#leaf = leaf;
    this.#root = root;
    this.#backend = backend;
    this.#claims = claimsOf(document, leaf);
  }

  /**
   * Verifies and appraises evidence, in this order; the error's code names the first check that fails:
   *
   * 1. the envelope and the document in it: `malformed-evidence`, `not-an-enclave`;
   * 2. the chain from the policy's root, each signature, each use: `untrusted-chain`; each
   *    certificate's time: `certificate-expired`, `certificate-not-yet-valid`;
   * 3. the document's signature: `bad-signature`;
   * 4. the ties to one instance: `not-an-enclave`, `instance-mismatch`;
   * 5. the policy: `manifest-expired`, `debug-enclave`, `release-revoked`, `release-not-current`,
   *    `measurement-mismatch`;
   * 6. the challenge: `challenge-mismatch`; age and skew: `stale-evidence`; then the user data
   *    and the length of the public key: `binding-mismatch`.
   *
   * Not checked: that whoever sent the evidence holds the key in `publicKey`. The caller must bind
   * its session to that key.
   *
   * @throws AttestationError as above; TypeError or RangeError for arguments that cannot be meant.
   */
  static verify(evidence: Uint8Array, options: VerifyOptions): VerifiedEvidence {
    const { policy, challenge, userData, publicKeyBytes, backend = defaultBackend } = options;
    const nowMs = options.now ?? Date.now();
    checkArguments(evidence, options, nowMs);
    const { payload, signature, signedBytes } = parseEnvelope(evidence);
    const document = parseDocument(payload);
    const { root, notBeforeLeewayMs } = policy;
    const { cabundle, certificate } = document;
    const leaf = verifyChain(cabundle, certificate, { root, nowMs, notBeforeLeewayMs, backend });
    if (!backend.verifyP384(leaf.publicKey, signedBytes, signature)) {
      throw new AttestationError("bad-signature", "the document is not signed by its certificate");
    }
    const verified = new VerifiedEvidence(document, leaf, root, backend);
    appraiseManifest(policy, nowMs);
    verified.reappraise(policy);
    if (challenge !== undefined) appraiseChallenge(document, challenge);
    appraiseAge(document, policy, nowMs);
    if (userData !== undefined) appraiseUserData(document, userData);
    if (publicKeyBytes !== undefined) appraisePublicKey(document, publicKeyBytes);
    return verified;
  }

  /**
   * Appraises evidence that is kept, because the policy changed: its root, the ties to one instance,
   * debug and measurements. Not the times: a session may be older than the evidence it began with.
   *
   * @throws AttestationError `untrusted-chain`, `not-an-enclave`, `instance-mismatch`,
   * `debug-enclave`, `release-revoked`, `release-not-current`, `measurement-mismatch`.
   */
  reappraise(policy: Policy): void {
    if (!Policy.is(policy))
      throw new TypeError("policy: expected what Policy.from or Policy.fromManifest gives");
    if (!equalBytes(policy.root, this.#root)) {
      throw new AttestationError(
        "untrusted-chain",
        "the policy pins another root than the evidence",
      );
    }
    if (!policy.insecureSkipInstanceBinding) {
      verifyInstance(this.#document, this.#leaf, this.#backend);
    }
    appraiseDebug(this.#document, policy);
    appraiseMeasurements(this.#document, policy);
  }

  get claims(): Claims {
    return this.#claims;
  }

  /** The document's public_key as the enclave gave it, a copy; empty and absent differ. */
  get publicKey(): Uint8Array | undefined {
    return this.#document.public_key?.slice();
  }

  /** The document's user_data as the enclave gave it, a copy; empty and absent differ. */
  get userData(): Uint8Array | undefined {
    return this.#document.user_data?.slice();
  }

  /**
   * The document's nonce, a copy. It proves freshness only where `verify` was given the challenge.
   */
  get challenge(): Uint8Array | undefined {
    return this.#document.nonce?.slice();
  }
}

function checkArguments(evidence: Uint8Array, options: VerifyOptions, nowMs: number): void {
  const { policy, challenge, userData } = options;
  if (!(evidence instanceof Uint8Array)) throw new TypeError("evidence: expected a Uint8Array");
  if (!Policy.is(policy))
    throw new TypeError("policy: expected what Policy.from or Policy.fromManifest gives");
  if (challenge !== undefined) {
    if (!(challenge instanceof Uint8Array)) throw new TypeError("challenge: expected a Uint8Array");
    if (challenge.length < minChallengeBytes) {
      throw new RangeError(
        `challenge: expected at least ${minChallengeBytes} bytes, received ${challenge.length}`,
      );
    }
  }
  if (userData !== undefined && !(userData instanceof Uint8Array)) {
    throw new TypeError("userData: expected a Uint8Array");
  }
  if (typeof nowMs !== "number" || Number.isNaN(new Date(nowMs).getTime())) {
    throw new RangeError(`now: expected milliseconds since the epoch, received ${nowMs}`);
  }
}

function claimsOf(document: AttestationDocument, leaf: Certificate): Claims {
  const instance = instanceOf(document, leaf);
  const pcrs = [...document.pcrs].map(([register, pcr]) => [register, encodeHex(pcr)] as const);
  return Object.freeze({
    moduleId: document.module_id,
    instanceId: instance?.instanceId,
    region: instance?.region,
    timestampMs: document.timestamp,
    certificateNotAfterMs: leaf.notAfterMs,
    pcrs: Object.freeze(Object.fromEntries(pcrs)),
    debug: isDebug(document.pcrs),
  });
}
