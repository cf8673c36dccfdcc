/**
 * A duplex between an HTTP/2 session and its socket that acknowledges every write at once.
 *
 * Node stops reading an HTTP/2 connection while one of its own writes is pending. When both ends do
 * so and both have more to send than the kernel holds, neither ever reads again. A session on this
 * duplex has no pending write, so it always reads, whatever its windows are. What was acknowledged
 * early waits in the socket; its owner looks at `queuedBytes` and stops producing.
 */
import type { Socket } from "node:net";
import { Duplex } from "node:stream";

/** Limits on what may wait in the socket, asked for at every write. */
export interface QueueLimits {
  /** Beyond this, writes are no longer acknowledged early. An honest peer must never get here. */
  holdBytes(): number;
  /** Half of it is room again: `onRoom` is called when the queue has shrunk to that. */
  readonly pauseBytes: number;
}

type Acknowledge = (error: Error | null | undefined) => void;

/** Past this multiple of `holdBytes` the peer does not read, and is cut off. */
const KILL_FACTOR = 2;

/** What acknowledged bytes get to leave when the session has closed, in milliseconds. */
const FLUSH_TIMEOUT_MS = 5_000;

/** The session's side of a socket. The socket's end, error and close become the duplex's own. */
export class EarlyAckSocket extends Duplex {
  /** Called after a write to the kernel when the queue is at most half of `pauseBytes`. */
  onRoom: () => void = () => {};
  readonly #socket: Socket;
  readonly #limits: QueueLimits;
  #unacknowledged: Acknowledge[] = [];

  constructor(socket: Socket, limits: QueueLimits) {
    super();
    this.#socket = socket;
    this.#limits = limits;
    // A listener would make either flow by itself.
    super.pause();
    socket.pause();
    socket.on("data", (chunk: Buffer) => this.emit("data", chunk));
    socket.on("end", () => this.emit("end"));
    socket.on("error", (error) => this.destroy(error));
    socket.on("close", () => this.destroy());
  }

  /** Bytes that were acknowledged and have not left for the kernel. A write in parts counts whole until it is done. */
  get queuedBytes(): number {
    return this.#socket.writableLength;
  }

  /** Bytes that came from the peer so far. */
  get readBytes(): number {
    return this.#socket.bytesRead;
  }

  /** Bytes that the kernel took so far; it stands still while the peer does not read. */
  get writtenBytes(): number {
    return this.#socket.bytesWritten - this.#socket.writableLength;
  }

  // What an HTTP/2 session asks of its socket beyond a stream.
  get remoteAddress(): string | undefined {
    return this.#socket.remoteAddress;
  }
  get remotePort(): number | undefined {
    return this.#socket.remotePort;
  }
  get encrypted(): boolean | undefined {
    return "encrypted" in this.#socket ? this.#socket.encrypted === true : undefined;
  }
  get alpnProtocol(): string | false | null | undefined {
    return "alpnProtocol" in this.#socket
      ? (this.#socket.alpnProtocol as string | false | null)
      : undefined;
  }
  ref(): this {
    this.#socket.ref();
    return this;
  }
  unref(): this {
    this.#socket.unref();
    return this;
  }

  // Buffers of the duplex's own would only cost: bytes go straight to the socket and come from it.
  override pause(): this {
    this.#socket.pause();
    return this;
  }

  override resume(): this {
    this.#socket.resume();
    return this;
  }

  override cork(): void {
    this.#socket.cork();
  }

  override uncork(): void {
    this.#socket.uncork();
  }

  override write(chunk: string | Uint8Array, callback?: BufferEncoding | Acknowledge): boolean {
    const hasRoom = this.#socket.write(chunk, this.#onWritten);
    if (typeof callback === "function") this.#unacknowledged.push(callback);
    if (this.queuedBytes > KILL_FACTOR * this.#limits.holdBytes()) {
      this.destroy(new Error(`the peer does not read: ${this.queuedBytes} bytes wait for it`));
    } else this.#acknowledge();
    return hasRoom;
  }

  override _final(callback: () => void): void {
    this.#socket.end(callback);
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    if (error === null) {
      // The session believes that its last frames are out, so they must still go, but not for ever.
      const socket = this.#socket;
      if (!socket.destroyed) {
        const timer = setTimeout(() => socket.destroy(), FLUSH_TIMEOUT_MS);
        socket.once("close", () => clearTimeout(timer));
        socket.destroySoon();
      }
    } else {
      this.#socket.destroy();
    }
    this.#unacknowledged = [];
    callback(error);
  }

  #acknowledge(): void {
    if (this.queuedBytes > this.#limits.holdBytes()) return;
    const callbacks = this.#unacknowledged;
    this.#unacknowledged = [];
    for (const callback of callbacks) callback(null);
  }

  readonly #onWritten = (): void => {
    const queued = this.queuedBytes;
    if (this.#unacknowledged.length > 0) this.#acknowledge();
    if (queued <= this.#limits.pauseBytes / 2) {
      this.onRoom();
    }
  };
}
