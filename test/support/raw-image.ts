/** Writes image files part by part: what a test changes need not be right. Shares no code with the writer. */
import { crc32 } from "node:zlib";

export interface RawSection {
  readonly type: number;
  readonly flags?: number;
  readonly data: Uint8Array;
  /** What its header says instead of the true size. */
  readonly statedSize?: number;
}

export interface RawImage {
  readonly magic?: string;
  readonly version?: number;
  readonly flags?: number;
  readonly reserved?: number;
  readonly unused?: number;
  readonly sections: readonly RawSection[];
  /** Changes the table of offsets and sizes. */
  readonly table?: (offsets: bigint[], sizes: bigint[]) => void;
  readonly count?: number;
  /** Bytes in front of each section, and behind the last. */
  readonly before?: readonly number[];
  /** Is combined with the true checksum. */
  readonly checksumChange?: number;
}

export const text = (value: string): Uint8Array => new TextEncoder().encode(value);

export const kernel: RawSection = {
  type: 1,
  data: Uint8Array.from({ length: 768 }, (_, i) => i & 0xff),
};
export const commandLine: RawSection = {
  type: 2,
  data: text("reboot=k panic=30 pci=off nomodules console=ttyS0 random.trust_cpu=on"),
};
export const firstRamdisk: RawSection = { type: 3, data: text("ramdisk-zero".repeat(11)) };
export const secondRamdisk: RawSection = { type: 3, data: text("ramdisk-one".repeat(13)) };
export const metadata: RawSection = { type: 5, data: text('{"ImageName":"test"}') };
export const sections: readonly RawSection[] = [
  kernel,
  commandLine,
  metadata,
  firstRamdisk,
  secondRamdisk,
];

export function rawImage(image: RawImage): Uint8Array {
  const header = Buffer.alloc(548);
  const body: Uint8Array[] = [];
  const [offsets, sizes] = [0, 0].map(() => Array.from({ length: 32 }, () => 0n)) as [
    bigint[],
    bigint[],
  ];
  let at = 548;
  image.sections.forEach(({ type, flags = 0, data, statedSize = data.length }, i) => {
    const gap = Buffer.alloc(image.before?.[i] ?? 0);
    const head = Buffer.alloc(12);
    head.writeUInt16BE(type, 0);
    head.writeUInt16BE(flags, 2);
    head.writeBigUInt64BE(BigInt(statedSize), 4);
    at += gap.length;
    offsets[i] = BigInt(at);
    sizes[i] = BigInt(data.length);
    at += 12 + data.length;
    body.push(gap, head, data);
  });
  body.push(Buffer.alloc(image.before?.[image.sections.length] ?? 0));
  image.table?.(offsets, sizes);
  header.write(image.magic ?? ".eif", "latin1");
  header.writeUInt16BE(image.version ?? 4, 4);
  header.writeUInt16BE(image.flags ?? 0, 6);
  header.writeBigUInt64BE(1n << 30n, 8);
  header.writeBigUInt64BE(2n, 16);
  header.writeUInt16BE(image.reserved ?? 0, 24);
  header.writeUInt16BE(image.count ?? image.sections.length, 26);
  offsets.forEach((offset, i) => header.writeBigUInt64BE(offset, 28 + 8 * i));
  sizes.forEach((size, i) => header.writeBigUInt64BE(size, 284 + 8 * i));
  header.writeUInt32BE(image.unused ?? 0, 540);
  const checksum = crc32(Buffer.concat(body), crc32(header.subarray(0, 544)));
  header.writeUInt32BE((checksum ^ (image.checksumChange ?? 0)) >>> 0, 544);
  return new Uint8Array(Buffer.concat([header, ...body]));
}
