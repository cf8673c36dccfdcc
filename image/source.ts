/** Where an image is read from: memory or a file, a piece at a time, so that its size does not matter. */
import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { ImageError } from "./errors.ts";

export interface ImageSource {
  readonly sizeBytes: number;
  /** Exactly these bytes, which the caller has checked to be there. */
  read(offset: number, length: number): Uint8Array;
}

/** An image in memory. */
export function bytesSource(bytes: Uint8Array): ImageSource {
  return {
    sizeBytes: bytes.length,
    read: (offset, length) => bytes.subarray(offset, offset + length),
  };
}

/**
 * Gives `work` the file as a source, and closes it.
 *
 * @throws ImageError `truncated` when the file shrinks meanwhile; `not-an-image` for what is no regular
 *   file. Errors of the file system as they are.
 */
export function withFileSource<T>(path: string, work: (source: ImageSource) => T): T {
  // Without waiting for a writer, should it be a pipe.
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile()) throw new ImageError("not-an-image", `${path} is no regular file`);
    return work({ sizeBytes: stat.size, read: (offset, length) => readFully(fd, offset, length) });
  } finally {
    closeSync(fd);
  }
}

function readFully(fd: number, offset: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let filled = 0; filled < length;) {
    const count = readSync(fd, bytes, filled, length - filled, offset + filled);
    if (count === 0) throw new ImageError("truncated", "the file became shorter while it was read");
    filled += count;
  }
  return bytes;
}
