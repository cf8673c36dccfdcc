/** The metadata of an image: JSON that says what it is. It is in no measurement, so it proves nothing. */
import { ImageError } from "./errors.ts";

/** What this builder writes; the keys and their nesting are those that nitro-cli reads. */
export interface ImageMetadata {
  readonly ImageName: string;
  readonly ImageVersion: string;
  readonly BuildMetadata: {
    readonly BuildTime: string;
    readonly BuildTool: string;
    readonly BuildToolVersion: string;
    readonly OperatingSystem: string;
    readonly KernelVersion: string;
  };
  readonly DockerInfo: Readonly<Record<string, unknown>>;
  readonly CustomMetadata: Readonly<Record<string, unknown>>;
}

export function encodeMetadata(metadata: ImageMetadata): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(metadata));
}

/**
 * Reads metadata of any builder: a JSON object, in UTF-8.
 *
 * @throws ImageError `malformed-metadata`.
 */
export function parseMetadata(bytes: Uint8Array): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new ImageError("malformed-metadata", "expected JSON in UTF-8", { cause });
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new ImageError("malformed-metadata", "expected a JSON object");
  }
  return value as Readonly<Record<string, unknown>>;
}
