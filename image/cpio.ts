/**
 * Writes cpio archives of the form that the kernel unpacks as its first root file system ("newc"). The same
 * files give the same bytes: entries in the order of their names, no times, owner root, numbers counted up.
 */
import { ImageError } from "./errors.ts";
import type { FileTree, TreeEntry } from "./file-tree.ts";

const HEADER_BYTES = 110;
/** The kernel passes over an entry with a longer name without a word. */
const MAX_NAME_BYTES = 4095;
const MAX_PART_BYTES = 255;
const MAX_FILE_BYTES = 0xffff_ffff;
/** The kernel finds ramdisks glued together, each of which must begin at a multiple of 4. */
const ALIGNMENT = 512;

const typeBits: Readonly<Record<TreeEntry["kind"], number>> = {
  directory: 0o040000,
  file: 0o100000,
  link: 0o120000,
  device: 0o020000,
};

/**
 * Encodes a tree of files; contents are passed on and not copied.
 *
 * @throws ImageError `unusable-input` for a name or a file that the form cannot hold.
 */
export function encodeCpio(tree: FileTree): readonly Uint8Array[] {
  const pieces: Uint8Array[] = [];
  let sizeBytes = 0;
  const push = (piece: Uint8Array) => {
    pieces.push(piece);
    sizeBytes += piece.length;
  };
  let number = 0;
  for (const [path, entry] of tree.entries()) {
    const name = encodeName(path);
    const content = contentOf(entry);
    if (content.length > MAX_FILE_BYTES) {
      throw new ImageError("unusable-input", `${path} is larger than 4 GiB`);
    }
    push(encodeHeader(++number, entry, name, content.length));
    push(content);
    push(new Uint8Array(-content.length & 3));
  }
  push(encodeHeader(0, undefined, encodeName("TRAILER!!!"), 0));
  push(new Uint8Array((ALIGNMENT - (sizeBytes % ALIGNMENT)) % ALIGNMENT));
  return pieces;
}

function contentOf(entry: TreeEntry): Uint8Array {
  if (entry.kind === "file") return entry.content;
  return entry.kind === "link" ? new TextEncoder().encode(entry.target) : new Uint8Array();
}

/** Header, name and the zeros that align what follows. */
function encodeHeader(
  number: number,
  entry: TreeEntry | undefined,
  name: Uint8Array,
  sizeBytes: number,
): Uint8Array {
  const device = entry?.kind === "device" ? entry : undefined;
  const mode = entry === undefined ? 0 : typeBits[entry.kind] | entry.mode;
  const fields = [number, mode, 0, 0, 1, 0, sizeBytes, 0, 0];
  fields.push(device?.major ?? 0, device?.minor ?? 0, name.length, 0);
  const digits = fields.map((field) => field.toString(16).toUpperCase().padStart(8, "0"));
  const used = HEADER_BYTES + name.length;
  const bytes = new Uint8Array(used + (-used & 3));
  bytes.set(new TextEncoder().encode(`070701${digits.join("")}`));
  bytes.set(name, HEADER_BYTES);
  return bytes;
}

/** The name, ended by NUL. */
function encodeName(path: string): Uint8Array {
  const name = new TextEncoder().encode(`${path}\0`);
  const longest = Math.max(...path.split("/").map((part) => Buffer.byteLength(part)));
  if (name.length > MAX_NAME_BYTES + 1 || longest > MAX_PART_BYTES) {
    throw new ImageError("unusable-input", `a name is too long: ${path.slice(0, 100)}…`);
  }
  return name;
}
