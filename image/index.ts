/** Enclave image files: build, measure, read. */
export {
  type BuildOptions,
  type BuiltImage,
  buildImage,
  DEFAULT_COMMAND_LINE,
  DEFAULT_PARENT_CID,
} from "./build.ts";
export { ImageError, type ImageErrorCode } from "./errors.ts";
export type { Architecture, ImageVersion, SectionKind } from "./layout.ts";
export { type Measurements, measureSigner } from "./measurement.ts";
export { type EnclaveImage, parseImage, readImageFile } from "./reader.ts";
export type { Section } from "./sections.ts";
export { type ImageSignature, type ImageSigner, parseSigner } from "./signature.ts";
