/** One split virtqueue, the device's side (virtio 1.2 §2.7). x86-64's order of writes is what it relies on. */
import type { GuestMemory } from "./guest-memory.ts";

const DESC_F_NEXT = 1;
const DESC_F_WRITE = 2;
const DESC_F_INDIRECT = 4;
const DESCRIPTOR_BYTES = 16;
const AVAIL_F_NO_INTERRUPT = 1;

/** A chain of buffers that the driver offered: memory of the guest, not copied. */
export interface Chain {
  readonly head: number;
  readonly readable: readonly Buffer[];
  readonly writable: readonly Buffer[];
}

export interface Rings {
  readonly size: number;
  readonly descriptors: Buffer;
  readonly available: Buffer;
  readonly used: Buffer;
}

export class Virtqueue {
  readonly #memory: GuestMemory;
  readonly #rings: Rings;
  readonly #interrupt: () => void;
  /** Counts chains that were taken; the ring's own counters have 16 bits. */
  #taken: number;

  constructor(memory: GuestMemory, rings: Rings, taken: number, interrupt: () => void) {
    this.#memory = memory;
    this.#rings = rings;
    this.#taken = taken;
    this.#interrupt = interrupt;
  }

  /** Where to go on after a pause. */
  get taken(): number {
    return this.#taken;
  }

  /** How many chains wait. */
  get waiting(): number {
    return (this.#rings.available.readUInt16LE(2) - this.#taken) & 0xffff;
  }

  /** Takes the next chain, if there is one. */
  take(): Chain | undefined {
    if (this.waiting === 0) return undefined;
    const { available, descriptors, size } = this.#rings;
    const head = available.readUInt16LE(4 + 2 * (this.#taken % size));
    this.#taken = (this.#taken + 1) & 0xffff;
    const readable: Buffer[] = [];
    const writable: Buffer[] = [];
    let table = descriptors;
    let index = head;
    for (;;) {
      const at = DESCRIPTOR_BYTES * index;
      const address = table.readBigUInt64LE(at);
      const length = table.readUInt32LE(at + 8);
      const flags = table.readUInt16LE(at + 12);
      if ((flags & DESC_F_INDIRECT) !== 0) {
        table = this.#memory.atGuest(address, length);
        index = 0;
        continue;
      }
      const buffers = (flags & DESC_F_WRITE) === 0 ? readable : writable;
      buffers.push(this.#memory.atGuest(address, length));
      if ((flags & DESC_F_NEXT) === 0) return { head, readable, writable };
      index = table.readUInt16LE(at + 14);
    }
  }

  /** Gives a chain back; `data` is what the driver gets in its writable buffers. */
  give({ head, writable }: Chain, data: Buffer = Buffer.alloc(0)): void {
    let rest = data;
    for (const buffer of writable) rest = rest.subarray(rest.copy(buffer));
    if (rest.length > 0) throw new RangeError("more bytes than the driver has room for");
    const { size, used } = this.#rings;
    const index = used.readUInt16LE(2);
    const at = 4 + 8 * (index % size);
    used.writeUInt32LE(head, at);
    used.writeUInt32LE(data.length, at + 4);
    used.writeUInt16LE((index + 1) & 0xffff, 2);
  }

  /** Tells the driver that chains were given back. */
  notify(): void {
    if ((this.#rings.available.readUInt16LE(0) & AVAIL_F_NO_INTERRUPT) === 0) this.#interrupt();
  }
}
