/** Packets of a virtio vsock device (virtio 1.2 §5.10.6): a header of 44 bytes, then data. */

export const VSOCK_HEADER_BYTES = 44;
export const TYPE_STREAM = 1;

export const OPERATION = {
  request: 1,
  response: 2,
  reset: 3,
  shutdown: 4,
  data: 5,
  creditUpdate: 6,
  creditRequest: 7,
} as const;

/** Flags of a shutdown: the sender will neither read nor write, or one of them. */
export const SHUTDOWN_READ = 1;
export const SHUTDOWN_WRITE = 2;

export interface VsockPacket {
  readonly sourceCid: number;
  readonly targetCid: number;
  readonly sourcePort: number;
  readonly targetPort: number;
  readonly type: number;
  readonly operation: number;
  readonly flags: number;
  /** Room that the sender has for data, and how many bytes it has taken out of it since the start. */
  readonly bufferBytes: number;
  readonly forwardedBytes: number;
  readonly data: Buffer;
}

/** Reads a packet; its data is a copy, since the guest may use its buffers again. */
export function parsePacket(buffers: readonly Buffer[]): VsockPacket {
  const bytes = Buffer.concat(buffers);
  const length = bytes.readUInt32LE(24);
  return {
    sourceCid: Number(bytes.readBigUInt64LE(0)),
    targetCid: Number(bytes.readBigUInt64LE(8)),
    sourcePort: bytes.readUInt32LE(16),
    targetPort: bytes.readUInt32LE(20),
    type: bytes.readUInt16LE(28),
    operation: bytes.readUInt16LE(30),
    flags: bytes.readUInt32LE(32),
    bufferBytes: bytes.readUInt32LE(36),
    forwardedBytes: bytes.readUInt32LE(40),
    data: bytes.subarray(VSOCK_HEADER_BYTES, VSOCK_HEADER_BYTES + length),
  };
}

export function encodePacket(packet: VsockPacket): Buffer {
  const header = Buffer.alloc(VSOCK_HEADER_BYTES);
  header.writeBigUInt64LE(BigInt(packet.sourceCid), 0);
  header.writeBigUInt64LE(BigInt(packet.targetCid), 8);
  header.writeUInt32LE(packet.sourcePort, 16);
  header.writeUInt32LE(packet.targetPort, 20);
  header.writeUInt32LE(packet.data.length, 24);
  header.writeUInt16LE(packet.type, 28);
  header.writeUInt16LE(packet.operation, 30);
  header.writeUInt32LE(packet.flags, 32);
  header.writeUInt32LE(packet.bufferBytes, 36);
  header.writeUInt32LE(packet.forwardedBytes >>> 0, 40);
  return Buffer.concat([header, packet.data]);
}
