/** What a build must know of a kernel: bzImage of x86_64 or Image of aarch64, as enclaves boot them. */
import { ImageError } from "./errors.ts";
import type { Architecture } from "./layout.ts";

export interface KernelFacts {
  readonly architecture: Architecture;
  /** As `uname -r` tells it; only a bzImage says so. */
  readonly release: string | undefined;
}

/** Boot protocol of x86: the sector's mark, the header's, and where its version's text is. */
const BOOT_MARK = 0x1fe;
const HEADER_MARK = 0x202;
const VERSION_POINTER = 0x20e;
const SETUP_START = 0x200;
/** "ARM\x64" in the header of aarch64. */
const IMAGE_MARK = 0x38;

/**
 * Tells the kernels that enclaves boot from other files.
 *
 * @throws ImageError `unusable-input`.
 */
export function describeKernel(bytes: Uint8Array, name: string): KernelFacts {
  if (has(bytes, BOOT_MARK, [0x55, 0xaa]) && has(bytes, HEADER_MARK, text("HdrS"))) {
    return { architecture: "x86_64", release: releaseOf(bytes) };
  }
  if (has(bytes, IMAGE_MARK, text("ARM\x64"))) {
    return { architecture: "aarch64", release: undefined };
  }
  throw new ImageError(
    "unusable-input",
    `${name} is no kernel: expected a bzImage (x86_64) or an uncompressed Image (aarch64)`,
  );
}

function releaseOf(bytes: Uint8Array): string | undefined {
  if (bytes.length < SETUP_START + 512) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const start = SETUP_START + view.getUint16(VERSION_POINTER, true);
  const end = bytes.indexOf(0, start);
  if (start === SETUP_START || end < 0 || end - start > 512) return undefined;
  return new TextDecoder("latin1").decode(bytes.subarray(start, end)).split(" ")[0];
}

function has(bytes: Uint8Array, at: number, mark: readonly number[]): boolean {
  return mark.every((byte, i) => bytes[at + i] === byte);
}

function text(value: string): readonly number[] {
  return [...new TextEncoder().encode(value)];
}
