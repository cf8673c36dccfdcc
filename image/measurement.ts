/**
 * The measurements of an image (docs/image.md): what the hypervisor will put into PCR0, PCR1, PCR2 and
 * PCR8 when it starts it. Each is SHA-384(48 zero bytes ‖ SHA-384(content)), the content being data of
 * sections, without their headers and with nothing between them.
 */
import { createHash } from "node:crypto";

export const PCR_BYTES = 48;

export interface Measurements {
  /** Kernel, command line and every ramdisk. */
  readonly pcr0: Uint8Array;
  /** Kernel, command line and the first ramdisk. */
  readonly pcr1: Uint8Array;
  /** Every ramdisk but the first. */
  readonly pcr2: Uint8Array;
  /** The signer's certificate; absent when the image is not signed, and then PCR8 is zero. */
  readonly pcr8?: Uint8Array;
}

/** Kinds of sections that are measured. */
export type MeasuredKind = "kernel" | "command-line" | "ramdisk";

/**
 * Measures sections as they come, piece by piece.
 *
 * Invariant: the caller gives kernel, command line and ramdisks in this order, which is the order in
 * which the hypervisor reads the file. In another one the result would be of no image that boots.
 */
export class Measurer {
  readonly #image = createHash("sha384");
  readonly #bootstrap = createHash("sha384");
  readonly #application = createHash("sha384");

  /** Adds data of a section; `ramdisk` counts ramdisks from 0. */
  add(kind: MeasuredKind, ramdisk: number, data: Uint8Array): void {
    this.#image.update(data);
    (kind === "ramdisk" && ramdisk > 0 ? this.#application : this.#bootstrap).update(data);
  }

  /** The measurements; nothing can be added afterwards. `signer` is a certificate, DER. */
  finish(signer?: Uint8Array): Measurements {
    return {
      pcr0: extendedOnce(this.#image.digest()),
      pcr1: extendedOnce(this.#bootstrap.digest()),
      pcr2: extendedOnce(this.#application.digest()),
      ...(signer === undefined ? {} : { pcr8: measureSigner(signer) }),
    };
  }
}

/** PCR8 of images that the holder of a certificate (DER) signed. */
export function measureSigner(certificate: Uint8Array): Uint8Array {
  return extendedOnce(createHash("sha384").update(certificate).digest());
}

function extendedOnce(digest: Uint8Array): Uint8Array {
  return new Uint8Array(
    createHash("sha384").update(new Uint8Array(PCR_BYTES)).update(digest).digest(),
  );
}
