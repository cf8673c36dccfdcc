/** The smallest ELF executable that Linux starts: one segment, without libraries. */
import type { Architecture } from "../layout.ts";

const HEADER_BYTES = 64;
const PROGRAM_HEADER_BYTES = 56;
const START = HEADER_BYTES + 2 * PROGRAM_HEADER_BYTES;
const BASE = 0x40_0000n;
/** Pages of aarch64 may have 64 KiB. */
const ALIGNMENT = 0x1_0000n;

const PT_LOAD = 1;
const PT_GNU_STACK = 0x6474_e551;
const READ_EXECUTE = 5;
const READ_WRITE = 6;
const machine: Readonly<Record<Architecture, number>> = { x86_64: 62, aarch64: 183 };

/** An executable that starts with the first byte of `code`; `data`, which it cannot write, follows. */
export function encodeStaticElf(
  architecture: Architecture,
  code: Uint8Array,
  data: Uint8Array,
): Uint8Array {
  const sizeBytes = START + code.length + data.length;
  const bytes = new Uint8Array(sizeBytes);
  const view = new DataView(bytes.buffer);
  const u16 = (at: number, value: number) => view.setUint16(at, value, true);
  const u32 = (at: number, value: number) => view.setUint32(at, value, true);
  const u64 = (at: number, value: bigint) => view.setBigUint64(at, value, true);
  // Magic, 64 bits, little endian, version 1.
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  u16(16, 2); // ET_EXEC
  u16(18, machine[architecture]);
  u32(20, 1);
  u64(24, BASE + BigInt(START));
  u64(32, BigInt(HEADER_BYTES));
  u16(52, HEADER_BYTES);
  u16(54, PROGRAM_HEADER_BYTES);
  u16(56, 2);
  const load = HEADER_BYTES;
  u32(load, PT_LOAD);
  u32(load + 4, READ_EXECUTE);
  u64(load + 16, BASE);
  u64(load + 24, BASE);
  u64(load + 32, BigInt(sizeBytes));
  u64(load + 40, BigInt(sizeBytes));
  u64(load + 48, ALIGNMENT);
  const stack = HEADER_BYTES + PROGRAM_HEADER_BYTES;
  u32(stack, PT_GNU_STACK);
  u32(stack + 4, READ_WRITE);
  bytes.set(code, START);
  bytes.set(data, START + code.length);
  return bytes;
}
