/**
 * The enclave's clock: the host sets the system's, so time comes from the enclave's own evidence
 * and goes on by the monotonic clock (docs/protocol.md §12).
 */
import { parseEnvelope } from "../../attestation/cose.ts";
import { parseDocument } from "../../attestation/document.ts";

export class EnclaveClock {
  /** Module time minus monotonic time. */
  #offsetMs: number | undefined;

  /**
   * Sets the clock by evidence that this enclave's own module was asked for at `askedMs` of the
   * monotonic clock. Its signature is not verified: it comes from the device, not from a peer.
   *
   * @throws AttestationError `malformed-evidence` for what is no evidence.
   */
  set(evidence: Uint8Array, askedMs: number): void {
    const { timestamp } = parseDocument(parseEnvelope(evidence).payload);
    this.#offsetMs = timestamp - askedMs;
  }

  /** Milliseconds since the epoch. @throws Error before `set`. */
  now(): number {
    if (this.#offsetMs === undefined) throw new Error("the enclave's clock was not set");
    return Math.round(this.#offsetMs + performance.now());
  }
}
