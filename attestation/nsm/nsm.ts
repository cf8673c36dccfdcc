/**
 * A Nitro Security Module as a program sees it: one method a request, over whatever carries the
 * encoded requests (the device's worker, the simulator).
 */
import type { AttestationRequest, Attester } from "./attester.ts";
import { MAX_REQUEST_BYTES, type NsmRequest, encodeRequest } from "./request.ts";
import { type NsmAnswers, type NsmDescription, type Pcr, decodeResponse } from "./response.ts";

/** Carries one encoded request to a module and its encoded response back. */
export interface NsmLink {
  exchange(request: Uint8Array): Promise<Uint8Array>;
  close(): Promise<void>;
}

/**
 * See the file header. Every method rejects with AttestationError `nsm-unavailable`, or with
 * RangeError for arguments that make the request too long.
 */
export class Nsm implements Attester {
  readonly #link: NsmLink;

  constructor(link: NsmLink) {
    this.#link = link;
  }

  attest({ publicKey, userData, nonce }: AttestationRequest): Promise<Uint8Array> {
    return this.#ask({ name: "Attestation", publicKey, userData, nonce });
  }

  /** The module's version, its id, and which PCRs are locked. */
  describe(): Promise<NsmDescription> {
    return this.#ask({ name: "DescribeNSM" });
  }

  /** Fresh random bytes of the module, at most 256 a call. */
  random(): Promise<Uint8Array> {
    return this.#ask({ name: "GetRandom" });
  }

  /** The register at `index`, 0 to 31. */
  pcr(index: number): Promise<Pcr> {
    return this.#ask({ name: "DescribePCR", index });
  }

  /** Sets an unlocked register to SHA384(value ‖ data) and gives the new value. */
  extendPcr(index: number, data: Uint8Array): Promise<Uint8Array> {
    return this.#ask({ name: "ExtendPCR", index, data });
  }

  /** Locks a register for as long as the enclave runs; from then on it is in every document. */
  async lockPcr(index: number): Promise<void> {
    await this.#ask({ name: "LockPCR", index });
  }

  close(): Promise<void> {
    return this.#link.close();
  }

  async #ask<Request extends NsmRequest>(request: Request): Promise<NsmAnswers[Request["name"]]> {
    const encoded = encodeRequest(request);
    if (encoded.length > MAX_REQUEST_BYTES) {
      throw new RangeError(
        `the NSM takes requests of at most ${MAX_REQUEST_BYTES} bytes, ` +
          `this ${request.name} has ${encoded.length}`,
      );
    }
    const name: Request["name"] = request.name;
    return decodeResponse(name, await this.#link.exchange(encoded));
  }
}
