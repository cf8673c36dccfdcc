/** Small files that pass for a kernel, kernel modules and static executables, part by part. */
import { encodeStaticElf } from "../../image/boot/static-elf.ts";

export const release = "6.12.0-test";

/** The marks of a bzImage, and the text of its version. */
export function fakeKernel(version: string = `${release} (builder@host) #1 SMP`): Uint8Array {
  const bytes = Buffer.alloc(4096, 0x90);
  bytes.writeUInt16LE(0xaa55, 0x1fe);
  bytes.write("HdrS", 0x202, "latin1");
  bytes.writeUInt16LE(0x400, 0x20e);
  bytes.write(`${version}\0`, 0x600, "latin1");
  return new Uint8Array(bytes);
}

/** The mark of an Image of aarch64. */
export function fakeArmKernel(): Uint8Array {
  const bytes = Buffer.alloc(4096);
  bytes.write("ARM\u0064", 0x38, "latin1");
  return new Uint8Array(bytes);
}

/** An executable without a loader; it would not run. */
export function fakeExecutable(architecture: "x86_64" | "aarch64" = "x86_64"): Uint8Array {
  return encodeStaticElf(architecture, new Uint8Array(16), new Uint8Array());
}

/** A kernel module that says these things of itself. */
export function fakeModule(
  info: Readonly<Record<string, string>>,
  { machine = 62, section = ".modinfo" }: { machine?: number; section?: string } = {},
): Uint8Array {
  const text = Object.entries({ vermagic: `${release} SMP mod_unload `, ...info })
    .map(([key, value]) => `${key}=${value}\0`)
    .join("");
  const names = `\0${section}\0.shstrtab\0`;
  const [namesAt, textAt] = [64, 64 + names.length];
  const table = textAt + Buffer.byteLength(text);
  const bytes = Buffer.alloc(table + 3 * 64);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  bytes.writeUInt16LE(1, 16);
  bytes.writeUInt16LE(machine, 18);
  bytes.writeBigUInt64LE(BigInt(table), 40);
  bytes.writeUInt16LE(64, 58);
  bytes.writeUInt16LE(3, 60);
  bytes.writeUInt16LE(2, 62);
  bytes.write(names, namesAt, "latin1");
  bytes.write(text, textAt);
  const header = (i: number, name: number, at: number, size: number) => {
    bytes.writeUInt32LE(name, table + 64 * i);
    bytes.writeBigUInt64LE(BigInt(at), table + 64 * i + 24);
    bytes.writeBigUInt64LE(BigInt(size), table + 64 * i + 32);
  };
  header(1, 1, textAt, Buffer.byteLength(text));
  header(2, 2 + section.length, namesAt, names.length);
  return new Uint8Array(bytes);
}

/** A shared library that is linked with these, and looks for them in these folders first. */
export function fakeLibrary(needed: readonly string[], runPath: string): Uint8Array {
  const strings = ["", ...needed, runPath].map((text) => `${text}\0`);
  const at = (i: number) => strings.slice(0, i).join("").length;
  const entries = [
    [5, 0x1000 + 176],
    ...needed.map((_, i) => [1, at(i + 1)]),
    [29, at(needed.length + 1)],
    [0, 0],
  ];
  const text = Buffer.from(strings.join(""), "latin1");
  const bytes = Buffer.alloc(176 + text.length + 16 * entries.length);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  bytes.writeUInt16LE(3, 16);
  bytes.writeUInt16LE(62, 18);
  bytes.writeBigUInt64LE(64n, 32);
  bytes.writeUInt16LE(56, 54);
  bytes.writeUInt16LE(2, 56);
  const segment = (i: number, type: number, offset: number, address: number, size: number) => {
    bytes.writeUInt32LE(type, 64 + 56 * i);
    bytes.writeBigUInt64LE(BigInt(offset), 72 + 56 * i);
    bytes.writeBigUInt64LE(BigInt(address), 80 + 56 * i);
    bytes.writeBigUInt64LE(BigInt(size), 96 + 56 * i);
  };
  segment(0, 1, 0, 0x1000, bytes.length);
  segment(1, 2, 176 + text.length, 0x1000 + 176 + text.length, 16 * entries.length);
  bytes.set(text, 176);
  entries.forEach(([tag = 0, value = 0], i) => {
    bytes.writeBigUInt64LE(BigInt(tag), 176 + text.length + 16 * i);
    bytes.writeBigUInt64LE(BigInt(value), 184 + text.length + 16 * i);
  });
  return new Uint8Array(bytes);
}
