/** A forwarder of bytes that a test can cut, shut and open again. */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type ListenOptions, type Socket } from "node:net";

/** A Unix socket or a TCP port. */
export type Destination =
  | { readonly path: string }
  | { readonly host: string; readonly port: number };

export class Forwarder {
  readonly #to: Destination;
  readonly #server = createServer({ allowHalfOpen: true, noDelay: true }, (s) => this.#forward(s));
  readonly #sockets = new Set<Socket>();
  #listenAt: ListenOptions;

  private constructor(listenAt: ListenOptions, to: Destination) {
    this.#listenAt = listenAt;
    this.#to = to;
  }

  /** Listens on a Unix socket, or on a free loopback port when no path is given. */
  static async start(to: Destination, path?: string): Promise<Forwarder> {
    const forwarder = new Forwarder(path ? { path } : { host: "127.0.0.1", port: 0 }, to);
    await forwarder.up();
    return forwarder;
  }

  /** The bound loopback port. */
  get port(): number {
    return Number(this.#listenAt.port);
  }

  /** Cuts every connection; new ones are taken. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Cuts every connection and takes no new one until `up`. */
  async down(): Promise<void> {
    if (!this.#server.listening) return;
    this.#server.close();
    this.cut();
    await once(this.#server, "close");
  }

  /** Listens, at the same address as before. */
  async up(): Promise<void> {
    if (this.#server.listening) return;
    this.#server.listen(this.#listenAt);
    await once(this.#server, "listening");
    if (!this.#listenAt.path) {
      const { port } = this.#server.address() as AddressInfo;
      this.#listenAt = { host: "127.0.0.1", port };
    }
  }

  #forward(front: Socket): void {
    const back = connect({ ...this.#to, allowHalfOpen: true, noDelay: true });
    for (const [one, other] of [
      [front, back],
      [back, front],
    ] as const) {
      this.#sockets.add(one);
      one.on("error", () => {});
      one.on("close", (hadError) => {
        this.#sockets.delete(one);
        if (hadError) other.destroy();
      });
      one.pipe(other);
    }
  }
}
