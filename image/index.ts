/** Enclave image files: build, measure, read. */
export { ImageError, type ImageErrorCode } from "./errors.ts";
export type { Architecture, ImageVersion, SectionKind } from "./layout.ts";
export { type Measurements, measureSigner } from "./measurement.ts";
export { type EnclaveImage, parseImage, readImageFile } from "./reader.ts";
export type { Section } from "./sections.ts";
export type { ImageSignature } from "./signature.ts";
