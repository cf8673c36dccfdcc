/**
 * Lets clients in: counts connections, in all and of one address, and makes TLS of them when that
 * is asked for. Only HTTP/2 gets through.
 */
import type { Socket } from "node:net";
import { createServer, type Server, type TLSSocket } from "node:tls";
import type { ProxyLimits } from "./limits.ts";
import type { Logger } from "./logger.ts";
import type { PeerLimits } from "./peer-limits.ts";

/** How clients are let in; PEM texts. */
export interface ProxyTls {
  readonly cert: string;
  readonly key: string;
  /** Certificates of the authorities of which every client must show a certificate. */
  readonly clientCa?: string | undefined;
}

const HANDSHAKE_TIMEOUT_MS = 10_000;
/** A silent TCP peer is probed after this. */
const KEEPALIVE_DELAY_MS = 30_000;

/** The door of one proxy; `onSocket` gets what came through, TLS already done. */
export class FrontDoor {
  readonly #limits: ProxyLimits;
  readonly #peers: PeerLimits;
  readonly #logger: Logger;
  readonly #onSocket: (socket: Socket) => void;
  readonly #tls: Server | undefined;
  readonly #sockets = new Set<Socket>();

  /** @throws Error of node:tls when a certificate or key is none. */
  constructor(
    limits: ProxyLimits,
    peers: PeerLimits,
    logger: Logger,
    tls: ProxyTls | undefined,
    onSocket: (socket: Socket) => void,
  ) {
    this.#limits = limits;
    this.#peers = peers;
    this.#logger = logger;
    this.#onSocket = onSocket;
    this.#tls = tls === undefined ? undefined : this.#createTls(tls);
  }

  /** Connections that are open, those in TLS's handshake too. */
  get connections(): number {
    return this.#sockets.size;
  }

  /** Takes an accepted socket in, or closes it. */
  admit(socket: Socket): void {
    socket.on("error", () => {});
    const address = socket.remoteAddress;
    if (this.#sockets.size >= this.#limits.maxConnections) {
      this.#refuse(socket, address, "too many connections");
      return;
    }
    if (!this.#peers.admitConnection(address, performance.now())) {
      this.#refuse(socket, address, "too many connections of this address");
      return;
    }
    this.#sockets.add(socket);
    socket.once("close", () => {
      this.#sockets.delete(socket);
      this.#peers.release(address);
    });
    socket.setKeepAlive(true, KEEPALIVE_DELAY_MS);
    if (this.#tls === undefined) {
      this.#onSocket(socket);
    } else {
      this.#tls.emit("connection", socket);
    }
  }

  /** Closes everything at once. */
  close(): void {
    for (const socket of this.#sockets) {
      socket.destroy();
    }
  }

  #createTls({ cert, key, clientCa }: ProxyTls): Server {
    const server = createServer({
      ALPNProtocols: ["h2"],
      cert,
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
      key,
      minVersion: "TLSv1.2",
      ...(clientCa === undefined
        ? {}
        : { ca: clientCa, rejectUnauthorized: true, requestCert: true }),
    });
    server.on("tlsClientError", (error, socket) => {
      this.#logger.debug({ peer: socket.remoteAddress, reason: error.message }, "TLS refused");
      socket.destroy();
    });
    server.on("secureConnection", (socket: TLSSocket) => {
      socket.on("error", () => {});
      // A client that offers no protocol gets past TLS's own check.
      if (socket.alpnProtocol === "h2") {
        this.#onSocket(socket);
      } else {
        socket.destroy();
      }
    });
    return server;
  }

  #refuse(socket: Socket, peer: string | undefined, reason: string): void {
    this.#logger.debug({ peer, reason }, "connection refused");
    socket.destroy();
  }
}
