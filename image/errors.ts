/** The one error of reading, building and measuring images, with a closed set of codes. */

export type ImageErrorCode =
  /** The bytes do not start with an image's header. */
  | "not-an-image"
  | "unsupported-version"
  /** Header flags other than the architecture: they may enter the measurement, so it is unknown. */
  | "unsupported-flags"
  | "malformed-header"
  /** The file ends before a section does. */
  | "truncated"
  | "overlapping-sections"
  /** Bytes of the file belong to no section. */
  | "gap"
  | "unknown-section"
  /** A section is missing, or there more often than it may be, or not of this version. */
  | "wrong-section-count"
  /** Kernel, command line and ramdisks stand in an order that measures in two ways. */
  | "wrong-section-order"
  /** A section's header disagrees with the image's, or its size is beyond its limit. */
  | "malformed-section"
  | "bad-checksum"
  | "malformed-metadata"
  | "malformed-signature"
  | "bad-signature"
  /** What an image was to be built from cannot be used. */
  | "unusable-input";

/** An image was refused or cannot be built. The code names the first check that failed. */
export class ImageError extends Error {
  override readonly name = "ImageError";
  readonly code: ImageErrorCode;

  constructor(code: ImageErrorCode, message: string, options?: ErrorOptions) {
    super(`[${code}] ${message}`, options);
    this.code = code;
  }
}
