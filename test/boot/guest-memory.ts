/** The memory of a virtual machine, as its monitor shares it with a vhost-user backend. */

export interface MemoryRegion {
  /** Where the guest sees it. */
  readonly guestAddress: bigint;
  /** Where the monitor has it in its own memory: addresses of rings are given so. */
  readonly monitorAddress: bigint;
  readonly bytes: Buffer;
}

export class GuestMemory {
  readonly #regions: readonly MemoryRegion[];

  constructor(regions: readonly MemoryRegion[]) {
    this.#regions = regions;
  }

  /** `length` bytes that the guest names, not copied. */
  atGuest(address: bigint, length: number): Buffer {
    for (const { guestAddress, bytes } of this.#regions) {
      const at = Number(address - guestAddress);
      if (at >= 0 && at + length <= bytes.length) return bytes.subarray(at, at + length);
    }
    throw new RangeError(`the guest has no ${length} bytes at 0x${address.toString(16)}`);
  }

  /** The bytes from an address of the monitor to the end of its region, not copied. */
  atMonitor(address: bigint): Buffer {
    for (const { monitorAddress, bytes } of this.#regions) {
      const at = Number(address - monitorAddress);
      if (at >= 0 && at < bytes.length) return bytes.subarray(at);
    }
    throw new RangeError(`the monitor shares no memory at 0x${address.toString(16)}`);
  }
}
