/** The enclave's evidence of itself, and its judgement of its callers' (docs/protocol.md §12). */
import { AttestationError } from "../../attestation/errors.ts";
import type { AttestationRequest, Attester } from "../../attestation/nsm/attester.ts";
import { Nsm } from "../../attestation/nsm/nsm.ts";
import type { VerifyEvidence } from "../../channel/evidence.ts";
import type { CallerPolicy } from "./caller-policy.ts";
import { EnclaveClock } from "./enclave-clock.ts";
import { requireModuleEntropy } from "./entropy.ts";

export class EvidenceSource {
  readonly #attester: Attester;
  readonly #isOwn: boolean;
  readonly #clock: EnclaveClock | undefined;
  /** Undefined: callers need not attest. */
  readonly verifyCaller: VerifyEvidence | undefined;

  private constructor(attester: Attester, isOwn: boolean, callers: CallerPolicy | undefined) {
    this.#attester = attester;
    this.#isOwn = isOwn;
    if (callers === undefined) return;
    const clock = new EnclaveClock();
    this.#clock = clock;
    this.verifyCaller = (evidence, binding) => callers.verify(evidence, binding, clock.now());
  }

  /**
   * Takes `given`, or opens the NSM device.
   *
   * @throws AttestationError `nsm-unavailable` outside an enclave; Error when the kernel's
   *   randomness does not come from the module.
   */
  static async open(given?: Attester, callers?: CallerPolicy): Promise<EvidenceSource> {
    if (given === undefined || given instanceof Nsm) await requireModuleEntropy();
    if (given !== undefined) return new EvidenceSource(given, false, callers);
    const { openNsmDevice } = await import("../../attestation/nsm/device.ts");
    return new EvidenceSource(await openNsmDevice(), true, callers);
  }

  /**
   * Evidence for one batch of hellos.
   *
   * @throws AttestationError `nsm-unavailable`, also when the attester does not answer in time: the
   *   batches behind it would wait with it for ever.
   */
  async attest(request: AttestationRequest, timeoutMs: number): Promise<Uint8Array> {
    const askedMs = performance.now();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => {
        const message = `the attester did not answer within ${timeoutMs} ms`;
        reject(new AttestationError("nsm-unavailable", message));
      }, timeoutMs);
      timer.unref();
    });
    try {
      const evidence = await Promise.race([this.#attester.attest(request), late]);
      this.#clock?.set(evidence, askedMs);
      return evidence;
    } finally {
      clearTimeout(timer);
    }
  }

  async close(): Promise<void> {
    if (this.#isOwn) await this.#attester.close();
  }
}
