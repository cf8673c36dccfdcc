/**
 * The virtio vsock device. On the host's side it is a Unix socket, as Firecracker's: `CONNECT port` leads
 * to a port of the guest, and the guest's connections to a port of the host go to `<path>_<port>`. The
 * host's own VSOCK is never touched. `TRAFFIC` is answered by what has been seen of each port of the host.
 */
import { connect, createServer, type Server, type Socket } from "node:net";
import type { Device } from "./vhost-user.ts";
import type { Virtqueue } from "./virtqueue.ts";
import { BUFFER_BYTES, type Ends, type Sender, VsockConnection } from "./vsock-connection.ts";
import {
  encodePacket,
  OPERATION,
  parsePacket,
  TYPE_STREAM,
  VSOCK_HEADER_BYTES,
  type VsockPacket,
} from "./vsock-packet.ts";

const RECEIVE = 0;
const TRANSMIT = 1;
/** The parent instance as enclaves see it, and as most other virtual machines do. */
const NITRO_PARENT_CID = 3;
const HOST_CID = 2;
const FIRST_HOST_PORT = 0x4000_0000;
const MAX_LINE_BYTES = 32;
/** Packets that wait for room in the guest, beyond which sockets are not read. */
const MANY_PACKETS = 64;
const NO_DATA = Buffer.alloc(0);

/** What has gone to and from a port of the host. */
export interface Traffic {
  /** Bytes of data in the longest packet. */
  longestFromGuest: number;
  longestToGuest: number;
  /** Room for data that the guest has announced. */
  room: number;
}

interface Waiting {
  readonly ends: Ends;
  readonly connection?: VsockConnection;
  readonly operation: number;
  readonly flags: number;
  data: Buffer;
}

export class VsockDevice implements Device, Sender {
  readonly queues = 3;
  readonly config: Buffer = Buffer.alloc(8);
  readonly #cid: number;
  readonly #path: string;
  readonly #connections = new Map<string, VsockConnection>();
  readonly #traffic = new Map<number, Traffic>();
  #waiting: Waiting[] = [];
  #receive: Virtqueue | undefined;
  #nextPort = FIRST_HOST_PORT;

  constructor(cid: number, path: string) {
    this.#cid = cid;
    this.#path = path;
    this.config.writeBigUInt64LE(BigInt(cid));
  }

  /** Listens for the host's programs. */
  listen(): Server {
    return createServer({ allowHalfOpen: true }, (socket) => this.#greet(socket)).listen(
      this.#path,
    );
  }

  get isFull(): boolean {
    return this.#waiting.length >= MANY_PACKETS;
  }

  work(index: number, queue: Virtqueue): void {
    if (index === RECEIVE) this.#receive = queue;
    if (index === TRANSMIT) {
      const packets: VsockPacket[] = [];
      for (let chain = queue.take(); chain !== undefined; chain = queue.take()) {
        packets.push(parsePacket(chain.readable));
        queue.give(chain);
      }
      if (packets.length > 0) queue.notify();
      for (const packet of packets) this.#packet(packet);
    }
    this.#flush();
  }

  stop(index: number): void {
    if (index === RECEIVE) this.#receive = undefined;
  }

  send(connection: VsockConnection, operation: number, flags = 0, data: Buffer = NO_DATA): void {
    this.#waiting.push({ ends: connection.ends, connection, operation, flags, data });
    this.#flush();
  }

  closed(connection: VsockConnection): void {
    if (this.#connections.delete(keyOf(connection.ends))) this.#reset(connection.ends);
  }

  /** The first line of a program's connection says where to; not a byte more of it is read. */
  #greet(socket: Socket): void {
    socket.on("error", () => {});
    if (this.#receive === undefined) {
      socket.destroy();
      return;
    }
    let line = "";
    const read = (): void => {
      for (let byte = next(socket); byte !== undefined; byte = next(socket)) {
        line += byte;
        if (byte !== "\n" && line.length < MAX_LINE_BYTES) continue;
        socket.off("readable", read);
        if (line === "TRAFFIC\n") {
          socket.end(JSON.stringify([...this.#traffic]));
          return;
        }
        const port = /^CONNECT (\d+)\n$/.exec(line)?.[1];
        if (port === undefined) {
          socket.destroy();
          return;
        }
        const ends = {
          hostCid: NITRO_PARENT_CID,
          hostPort: this.#nextPort++,
          guestPort: Number(port),
        };
        this.send(this.#add(ends, socket), OPERATION.request);
        return;
      }
    };
    socket.on("readable", read);
  }

  #add(ends: Ends, socket: Socket): VsockConnection {
    const connection = new VsockConnection(ends, socket, this);
    this.#connections.set(keyOf(ends), connection);
    return connection;
  }

  #packet(packet: VsockPacket): void {
    const { sourceCid, targetCid, sourcePort, targetPort, type, operation } = packet;
    const ends = { hostCid: targetCid, hostPort: targetPort, guestPort: sourcePort };
    // As Linux does for other virtual machines: nobody answers for others.
    if (sourceCid !== this.#cid || (targetCid !== NITRO_PARENT_CID && targetCid !== HOST_CID))
      return;
    this.#noteFromGuest(packet);
    const connection = this.#connections.get(keyOf(ends));
    if (type !== TYPE_STREAM) this.#reset(ends, operation);
    else if (operation === OPERATION.request) this.#connect(ends, packet);
    else if (connection === undefined) this.#reset(ends, operation);
    else if (operation === OPERATION.response) connection.accept(packet);
    else {
      // Its socket may have data to write still; for the guest it is gone.
      if (operation === OPERATION.reset) this.#connections.delete(keyOf(ends));
      connection.receive(packet);
    }
  }

  #noteFromGuest({ targetPort, operation, data, bufferBytes }: VsockPacket): void {
    const traffic = this.#trafficOf(targetPort);
    traffic.longestFromGuest = Math.max(traffic.longestFromGuest, data.length);
    // Without a socket, the kernel has no room either.
    if (operation !== OPERATION.reset) traffic.room = Math.max(traffic.room, bufferBytes);
  }

  #trafficOf(hostPort: number): Traffic {
    let traffic = this.#traffic.get(hostPort);
    if (traffic === undefined) {
      traffic = { longestFromGuest: 0, longestToGuest: 0, room: 0 };
      this.#traffic.set(hostPort, traffic);
    }
    return traffic;
  }

  /** The guest connects to a program of the host. */
  #connect(ends: Ends, request: VsockPacket): void {
    const socket = connect({ path: `${this.#path}_${ends.hostPort}`, allowHalfOpen: true });
    const refuse = (): void => this.#reset(ends);
    socket.on("error", () => {});
    socket.once("error", refuse);
    socket.once("connect", () => {
      socket.off("error", refuse);
      const connection = this.#add(ends, socket);
      this.send(connection, OPERATION.response);
      connection.open(request);
    });
  }

  #reset(ends: Ends, operation?: number): void {
    if (operation === OPERATION.reset) return;
    this.#waiting.push({ ends, operation: OPERATION.reset, flags: 0, data: NO_DATA });
    this.#flush();
  }

  /** Sends what waits, as far as the guest has offered buffers. */
  #flush(): void {
    const queue = this.#receive;
    if (queue === undefined) return;
    let any = false;
    for (let first = this.#waiting[0]; first !== undefined; first = this.#waiting[0]) {
      const chain = queue.take();
      if (chain === undefined) break;
      const bytes = chain.writable.reduce((sum, { length }) => sum + length, 0);
      const data = first.data.subarray(0, bytes - VSOCK_HEADER_BYTES);
      queue.give(chain, this.#encode(first, data));
      const traffic = this.#trafficOf(first.ends.hostPort);
      traffic.longestToGuest = Math.max(traffic.longestToGuest, data.length);
      if (data.length < first.data.length) first.data = first.data.subarray(data.length);
      else this.#waiting.shift();
      any = true;
    }
    if (!any) return;
    queue.notify();
    if (this.#waiting.length < MANY_PACKETS / 2) setImmediate(() => this.#pullAll());
  }

  #encode({ ends, connection, operation, flags }: Waiting, data: Buffer): Buffer {
    return encodePacket({
      sourceCid: ends.hostCid,
      targetCid: this.#cid,
      sourcePort: ends.hostPort,
      targetPort: ends.guestPort,
      type: TYPE_STREAM,
      operation,
      flags,
      bufferBytes: connection === undefined ? 0 : BUFFER_BYTES,
      forwardedBytes: connection?.forwarded() ?? 0,
      data,
    });
  }

  #pullAll(): void {
    for (const connection of this.#connections.values()) connection.pull();
  }
}

function keyOf({ hostPort, guestPort }: Ends): string {
  return `${hostPort}:${guestPort}`;
}

function next(socket: Socket): string | undefined {
  return (socket.read(1) as Buffer | null)?.toString("latin1");
}
