/**
 * The role that proves what an enclave is (RFC 9334): whoever can ask a Nitro Security Module for
 * evidence. Handshakes use an attester directly; application code gets a guarded one
 * (docs/protocol.md §2).
 */

/** What goes into the evidence, each at most 1024 bytes; what is left out becomes null there. */
export interface AttestationRequest {
  readonly publicKey?: Uint8Array | undefined;
  readonly userData?: Uint8Array | undefined;
  /** The field `nonce` of the document: the challenge of whoever asked. */
  readonly nonce?: Uint8Array | undefined;
}

/** Makes evidence: the NSM device of an enclave, or the simulator. */
export interface Attester {
  /**
   * Signed evidence over the request's fields, taken as they are at the time of the call.
   *
   * @throws AttestationError `nsm-unavailable`, asynchronously.
   */
  attest(request: AttestationRequest): Promise<Uint8Array>;
  /** Releases what the attester holds. Calls that still wait are refused. */
  close(): Promise<void>;
}

/** Every `user_data` that belongs to a handshake starts so (docs/protocol.md §2). */
const RESERVED_PREFIX = new TextEncoder().encode("sealrpc1 ");

/**
 * The attester to hand to application code: it refuses `user_data` that a handshake could have
 * made. Without it, an endpoint of the application that attests to what a caller sends would forge
 * handshakes of its own enclave. Closing it does not close the attester underneath.
 *
 * Its `attest` throws RangeError, synchronously, for reserved user data.
 */
export function guardedAttester(attester: Attester): Attester {
  return {
    attest({ publicKey, userData, nonce }) {
      // Invariant: what is checked is what is attested, even if the caller's array changes meanwhile.
      const checked = userData && Uint8Array.from(userData);
      if (checked && startsWith(checked, RESERVED_PREFIX)) {
        throw new RangeError('userData must not start with "sealrpc1 ": handshakes own that label');
      }
      return attester.attest({ publicKey, userData: checked, nonce });
    },
    async close() {},
  };
}

function startsWith(bytes: Uint8Array, prefix: Uint8Array): boolean {
  return prefix.every((byte, index) => bytes[index] === byte);
}
