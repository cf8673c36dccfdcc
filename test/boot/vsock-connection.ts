/**
 * One connection between a guest's vsock port and a Unix socket of the host, with the credit that keeps
 * either side from sending more than the other has room for.
 */
import type { Socket } from "node:net";
import { OPERATION, SHUTDOWN_READ, SHUTDOWN_WRITE, type VsockPacket } from "./vsock-packet.ts";

/** Room for data of the guest, as Linux has it. */
export const BUFFER_BYTES = 262_144;
/** As Linux sends at most. */
const MAX_DATA_BYTES = 64 * 1024;

/** Both ends of a connection, seen from the host. */
export interface Ends {
  readonly hostCid: number;
  readonly hostPort: number;
  readonly guestPort: number;
}

/** How a connection reaches the guest. */
export interface Sender {
  send(connection: VsockConnection, operation: number, flags?: number, data?: Buffer): void;
  /** Whether data had better wait. */
  readonly isFull: boolean;
  closed(connection: VsockConnection): void;
}

export class VsockConnection {
  readonly ends: Ends;
  readonly #socket: Socket;
  readonly #sender: Sender;
  #open = false;
  #hostEnded = false;
  #guestShutdown = 0;
  /** Bytes of the guest that the host's socket has taken, and what the guest was last told of it. */
  #forwarded = 0;
  #told = 0;
  /** Bytes sent to the guest, and the guest's room, as it last told. */
  #sent = 0;
  #room = 0;
  #taken = 0;

  constructor(ends: Ends, socket: Socket, sender: Sender) {
    this.ends = ends;
    this.#socket = socket;
    this.#sender = sender;
    socket.on("close", () => sender.closed(this));
  }

  /** For the header of the next packet. */
  forwarded(): number {
    this.#told = this.#forwarded;
    return this.#forwarded;
  }

  /** Lets data flow. */
  open({ bufferBytes, forwardedBytes }: VsockPacket): void {
    this.#learn(bufferBytes, forwardedBytes);
    this.#open = true;
    this.#socket.on("readable", () => this.pull());
    this.#socket.on("end", () => {
      this.#hostEnded = true;
      this.#sender.send(this, OPERATION.shutdown, SHUTDOWN_WRITE);
    });
    this.pull();
  }

  /** Answers the host's `CONNECT`, then lets data flow. */
  accept(packet: VsockPacket): void {
    this.#socket.write(`OK ${this.ends.hostPort}\n`);
    this.open(packet);
  }

  /** Takes what the host's socket has, as far as the guest has room. */
  pull(): void {
    while (this.#open && !this.#hostEnded && !this.#sender.isFull) {
      const credit = this.#room - ((this.#sent - this.#taken) >>> 0);
      if (credit <= 0) return;
      const length = Math.min(credit, MAX_DATA_BYTES, this.#socket.readableLength || 1);
      const data = this.#socket.read(length) as Buffer | null;
      if (data === null) return;
      this.#sent = (this.#sent + data.length) >>> 0;
      this.#sender.send(this, OPERATION.data, 0, data);
    }
  }

  /** A packet of the guest other than a request or a response. */
  receive({ operation, flags, bufferBytes, forwardedBytes, data }: VsockPacket): void {
    this.#learn(bufferBytes, forwardedBytes);
    switch (operation) {
      case OPERATION.data:
        this.#socket.write(data, (error) => {
          if (!error) this.#forward(data.length);
        });
        break;
      case OPERATION.creditRequest:
        this.#sender.send(this, OPERATION.creditUpdate);
        break;
      case OPERATION.shutdown:
        this.#guestShutdown |= flags;
        if ((this.#guestShutdown & SHUTDOWN_WRITE) !== 0) {
          this.#socket.end(() => {
            if ((this.#guestShutdown & SHUTDOWN_READ) !== 0) this.#socket.destroy();
          });
        }
        break;
      case OPERATION.reset:
        this.#open = false;
        this.#socket.end(() => this.#socket.destroy());
        break;
      default:
    }
    this.pull();
  }

  #learn(room: number, taken: number): void {
    this.#room = room;
    this.#taken = taken;
  }

  /** A guest sends less ahead than this side has room for: it must hear of every byte in the end. */
  #forward(length: number): void {
    this.#forwarded = (this.#forwarded + length) >>> 0;
    const untold = (this.#forwarded - this.#told) >>> 0;
    if (untold > BUFFER_BYTES / 4 || this.#socket.writableLength === 0) {
      this.#sender.send(this, OPERATION.creditUpdate);
    }
  }
}
