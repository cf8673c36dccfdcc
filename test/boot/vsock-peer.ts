/** The host's half of the cases (vsock-cases.ts): what it does on its ports, over the device's Unix sockets. */
import { once } from "node:events";
import type { Socket } from "node:net";
import { dial } from "../../transport/dial.ts";
import { listen, type Listener } from "../../transport/listen.ts";
import { exchangeBulk, readToEnd } from "./socket-bytes.ts";
import { BULK_HEADER_BYTES, LATE_BYTES, PORT } from "./vsock-cases.ts";

export class VsockPeer {
  /** What went wrong on this side. */
  readonly failures: Error[] = [];
  readonly #vsockPath: string;
  readonly #listeners: Listener[] = [];

  private constructor(vsockPath: string) {
    this.#vsockPath = vsockPath;
  }

  static async listen(vsockPath: string): Promise<VsockPeer> {
    const peer = new VsockPeer(vsockPath);
    await peer.#serve(PORT.bulk, async (socket) => exchangeBulk(socket, await readHeader(socket)));
    await peer.#serve(PORT.bulkBack, async (socket) => {
      const bytes = await readHeader(socket);
      await exchangeBulk(await peer.dialGuest(), bytes);
    });
    await peer.#serve(PORT.answersEnd, async (socket) => {
      socket.end(`an answer to ${String(await readToEnd(socket))}`);
    });
    await peer.#serve(PORT.endsFirst, async (socket) => {
      socket.end();
      const { length } = await readToEnd(socket);
      if (length !== LATE_BYTES) throw new Error(`${length} bytes came, expected ${LATE_BYTES}`);
    });
    await peer.#serve(PORT.relay, async (socket) => {
      const guest = await peer.dialGuest();
      guest.pipe(socket).pipe(guest);
    });
    return peer;
  }

  /** Connects to the guest, on the port of the cases unless another is given. */
  async dialGuest(port: number = PORT.guest): Promise<Socket> {
    const socket = await dial({ kind: "hybrid-vsock", path: this.#vsockPath, port });
    return socket.on("error", () => {});
  }

  async close(): Promise<void> {
    for (const listener of this.#listeners) await listener.close();
  }

  async #serve(port: number, work: (socket: Socket) => Promise<void>): Promise<void> {
    const serve = (socket: Socket): void => {
      socket.on("error", () => {});
      socket.allowHalfOpen = true;
      work(socket).catch((error: unknown) => {
        this.failures.push(error instanceof Error ? error : new Error(String(error)));
        socket.destroy();
      });
    };
    const address = { kind: "hybrid-vsock", path: this.#vsockPath, port } as const;
    this.#listeners.push(await listen(address, serve));
  }
}

/** The number in front of an exchange, and not a byte more. */
async function readHeader(socket: Socket): Promise<number> {
  for (;;) {
    const header = socket.read(BULK_HEADER_BYTES) as Buffer | null;
    if (header !== null) return Number(header.readBigUInt64BE());
    await once(socket, "readable");
  }
}
