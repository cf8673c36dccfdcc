/**
 * The back-end of a vhost-user device: QEMU tells over a Unix socket where the guest's memory and the
 * device's queues are, and the device does the rest. What QEMU 11 sends to devices of one kind that stays
 * for the machine's life is answered; migration, reconnection and logging are not.
 */
import { closeSync, readSync, writeSync } from "node:fs";
import { GuestMemory } from "./guest-memory.ts";
import { mapShared, receive } from "./libc.ts";
import { Virtqueue } from "./virtqueue.ts";
import { type Watch, watch } from "./watch.ts";

/** Numbers of the requests that are answered or acted on. */
const GET_FEATURES = 1;
const SET_MEM_TABLE = 5;
const SET_VRING_NUM = 8;
const SET_VRING_ADDR = 9;
const SET_VRING_BASE = 10;
const GET_VRING_BASE = 11;
const SET_VRING_KICK = 12;
const SET_VRING_CALL = 13;
const SET_VRING_ERR = 14;
const GET_PROTOCOL_FEATURES = 15;
const GET_QUEUE_NUM = 17;
const SET_VRING_ENABLE = 18;
const GET_CONFIG = 24;

const HEADER_BYTES = 12;
const FLAG_NEED_REPLY = 8;
/** Version 1, a reply. */
const REPLY_FLAGS = 5;
/** VIRTIO_F_VERSION_1, and protocol features. */
const FEATURES = (1n << 32n) | (1n << 30n);
/** MQ, REPLY_ACK and CONFIG. */
const PROTOCOL_FEATURES = (1n << 0n) | (1n << 3n) | (1n << 9n);
const ONE = Buffer.from([1, 0, 0, 0, 0, 0, 0, 0]);

/** What a device does with its queues. */
export interface Device {
  readonly queues: number;
  /** Its configuration space. */
  readonly config: Buffer;
  /** A queue has started, or the driver has offered chains. */
  work(index: number, queue: Virtqueue): void;
  /** A queue must not be used any more. */
  stop(index: number): void;
}

interface QueueState {
  size: number;
  taken: number;
  addresses?: { descriptors: bigint; used: bigint; available: bigint };
  kick?: { fd: number; watch: Watch };
  call?: number;
  enabled: boolean;
  running?: Virtqueue;
}

export class VhostUserBackend {
  readonly #socket: number;
  readonly #device: Device;
  readonly #queues: QueueState[];
  #memory = new GuestMemory([]);

  /** Serves a device on one end of a pair of Unix sockets; QEMU has the other. */
  constructor(socket: number, device: Device) {
    this.#socket = socket;
    this.#device = device;
    this.#queues = Array.from({ length: device.queues }, () => ({
      size: 0,
      taken: 0,
      enabled: false,
    }));
  }

  /** Serves until QEMU is gone. */
  start(): void {
    const messages = watch(this.#socket, () => {
      if (!this.#receive()) messages.close();
    });
  }

  /** One message; false at the end. */
  #receive(): boolean {
    const header = Buffer.alloc(HEADER_BYTES);
    const descriptors = receive(this.#socket, header);
    if (descriptors === undefined) return false;
    const request = header.readUInt32LE(0);
    const payload = Buffer.alloc(header.readUInt32LE(8));
    for (let at = 0; at < payload.length;)
      at += readSync(this.#socket, payload, at, payload.length - at, null);
    let reply = this.#answer(request, payload, descriptors);
    if (reply === undefined && (header.readUInt32LE(4) & FLAG_NEED_REPLY) !== 0) reply = u64(0n);
    if (reply !== undefined) this.#reply(request, reply);
    return true;
  }

  #reply(request: number, payload: Buffer): void {
    const header = Buffer.alloc(HEADER_BYTES);
    header.writeUInt32LE(request, 0);
    header.writeUInt32LE(REPLY_FLAGS, 4);
    header.writeUInt32LE(payload.length, 8);
    writeSync(this.#socket, Buffer.concat([header, payload]));
  }

  #answer(request: number, payload: Buffer, descriptors: readonly number[]): Buffer | undefined {
    switch (request) {
      case GET_FEATURES:
        return u64(FEATURES);
      case GET_PROTOCOL_FEATURES:
        return u64(PROTOCOL_FEATURES);
      case GET_QUEUE_NUM:
        return u64(BigInt(this.#queues.length));
      case GET_CONFIG:
        return this.#readConfig(payload);
      case SET_MEM_TABLE:
        this.#mapMemory(payload, descriptors);
        return undefined;
      case SET_VRING_NUM:
        this.#queueOf(payload).size = payload.readUInt32LE(4);
        return undefined;
      case SET_VRING_BASE:
        this.#queueOf(payload).taken = payload.readUInt32LE(4);
        return undefined;
      case SET_VRING_ADDR:
        this.#queueOf(payload).addresses = {
          descriptors: payload.readBigUInt64LE(8),
          used: payload.readBigUInt64LE(16),
          available: payload.readBigUInt64LE(24),
        };
        return undefined;
      case GET_VRING_BASE:
        return this.#stop(payload);
      case SET_VRING_KICK:
        this.#watchKicks(payload, descriptors);
        return undefined;
      case SET_VRING_CALL: {
        const queue = this.#queueOf(payload);
        if (queue.call !== undefined) closeSync(queue.call);
        if (descriptors[0] === undefined) delete queue.call;
        else queue.call = descriptors[0];
        return undefined;
      }
      case SET_VRING_ENABLE:
        this.#queueOf(payload).enabled = payload.readUInt32LE(4) !== 0;
        this.#start(payload.readUInt32LE(0));
        return undefined;
      case SET_VRING_ERR:
      default:
        for (const fd of descriptors) closeSync(fd);
        return undefined;
    }
  }

  /** The index is in the low byte: messages with a descriptor have flags above it. */
  #queueOf(payload: Buffer): QueueState {
    const queue = this.#queues[payload.readUInt8(0)];
    if (queue === undefined) throw new RangeError(`no queue ${payload.readUInt8(0)}`);
    return queue;
  }

  #readConfig(payload: Buffer): Buffer {
    const [offset, size] = [payload.readUInt32LE(0), payload.readUInt32LE(4)];
    const reply = Buffer.alloc(HEADER_BYTES + size);
    payload.copy(reply, 0, 0, HEADER_BYTES);
    this.#device.config.copy(reply, HEADER_BYTES, offset, offset + size);
    return reply;
  }

  #mapMemory(payload: Buffer, descriptors: readonly number[]): void {
    const regions = descriptors.map((fd, i) => {
      const at = 8 + 32 * i;
      const bytes = mapShared(
        fd,
        payload.readBigUInt64LE(at + 24),
        payload.readBigUInt64LE(at + 8),
      );
      closeSync(fd);
      return {
        guestAddress: payload.readBigUInt64LE(at),
        monitorAddress: payload.readBigUInt64LE(at + 16),
        bytes,
      };
    });
    this.#memory = new GuestMemory(regions);
  }

  #watchKicks(payload: Buffer, [fd]: readonly number[]): void {
    const queue = this.#queueOf(payload);
    const index = payload.readUInt8(0);
    unwatch(queue);
    if (fd === undefined) return;
    const count = Buffer.alloc(8);
    const kicks = watch(fd, () => {
      try {
        readSync(fd, count);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
      }
      if (queue.running !== undefined) this.#device.work(index, queue.running);
    });
    queue.kick = { fd, watch: kicks };
    this.#start(index);
  }

  #start(index: number): void {
    const queue = this.#queues[index];
    if (queue?.addresses === undefined || queue.kick === undefined || !queue.enabled) return;
    if (queue.running !== undefined) return;
    const { descriptors, available, used } = queue.addresses;
    const rings = {
      size: queue.size,
      descriptors: this.#memory.atMonitor(descriptors),
      available: this.#memory.atMonitor(available),
      used: this.#memory.atMonitor(used),
    };
    queue.running = new Virtqueue(this.#memory, rings, queue.taken, () => {
      if (queue.call !== undefined) writeSync(queue.call, ONE);
    });
    this.#device.work(index, queue.running);
  }

  #stop(payload: Buffer): Buffer {
    const queue = this.#queueOf(payload);
    unwatch(queue);
    queue.taken = queue.running?.taken ?? queue.taken;
    delete queue.running;
    this.#device.stop(payload.readUInt8(0));
    const reply = Buffer.from(payload);
    reply.writeUInt32LE(queue.taken, 4);
    return reply;
  }
}

function unwatch(queue: QueueState): void {
  if (queue.kick === undefined) return;
  queue.kick.watch.close();
  closeSync(queue.kick.fd);
  delete queue.kick;
}

function u64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(value);
  return bytes;
}
