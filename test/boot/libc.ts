/** What a vhost-user backend needs of the system and Node does not offer: descriptors that come over a socket, and memory that is shared with another process. x86-64 Linux only, as the tests are. */
import koffi from "koffi";
import { systemError } from "../../transport/attempt.ts";

const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
const MSG_WAITALL = 0x100;
const MSG_CMSG_CLOEXEC = 0x4000_0000;
const PROT_READ_WRITE = 3;
const MAP_SHARED = 1;
/** vhost-user sends at most eight descriptors with a message. */
const MAX_DESCRIPTORS = 8;

const libc = koffi.load(null);
const recvmsg = libc.func("recvmsg", "int64", ["int", "void *", "int"]) as (
  fd: number,
  header: Uint8Array,
  flags: number,
) => number;
const mmap = libc.func("mmap", "void *", [
  "void *",
  "uint64",
  "int",
  "int",
  "int",
  "int64",
]) as unknown as (
  address: null,
  length: bigint,
  protection: number,
  flags: number,
  fd: number,
  offset: bigint,
) => unknown;

/** Reads `bytes.length` bytes of a Unix socket, and the descriptors that came with them; undefined at the end. */
export function receive(fd: number, bytes: Buffer): readonly number[] | undefined {
  const control = Buffer.alloc(16 + 4 * MAX_DESCRIPTORS);
  const iovec = Buffer.alloc(16);
  iovec.writeBigUInt64LE(koffi.address(bytes), 0);
  iovec.writeBigUInt64LE(BigInt(bytes.length), 8);
  const header = Buffer.alloc(56);
  header.writeBigUInt64LE(koffi.address(iovec), 16);
  header.writeBigUInt64LE(1n, 24);
  header.writeBigUInt64LE(koffi.address(control), 32);
  header.writeBigUInt64LE(BigInt(control.length), 40);
  const read = recvmsg(fd, header, MSG_WAITALL | MSG_CMSG_CLOEXEC);
  if (read < 0) throw systemError("recvmsg", koffi.errno());
  if (read < bytes.length) return undefined;
  const controlLength = Number(header.readBigUInt64LE(40));
  if (
    controlLength < 20 ||
    control.readInt32LE(8) !== SOL_SOCKET ||
    control.readInt32LE(12) !== SCM_RIGHTS
  ) {
    return [];
  }
  const end = Number(control.readBigUInt64LE(0));
  return Array.from({ length: (end - 16) / 4 }, (_, i) => control.readInt32LE(16 + 4 * i));
}

/** Maps a file of memory, shared with whoever else has it, until the process ends. */
export function mapShared(fd: number, offset: bigint, length: bigint): Buffer {
  const pointer = mmap(null, length, PROT_READ_WRITE, MAP_SHARED, fd, offset);
  if (koffi.address(pointer) === 0xffff_ffff_ffff_ffffn) {
    throw systemError("mmap", koffi.errno());
  }
  return Buffer.from(koffi.view(pointer, Number(length)));
}
