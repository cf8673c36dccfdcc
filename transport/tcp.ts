/** TCP, with Nagle's delay off: whoever writes here has gathered what belongs together. */
import type { Socket } from "node:net";
import type { Address } from "./address.ts";
import type { AttemptLimits } from "./attempt.ts";
import type { Listener, ListenOptions } from "./listener.ts";
import { connectSocket, listenSocket, stopListening } from "./node-socket.ts";

type TcpAddress = Extract<Address, { kind: "tcp" }>;

/**
 * Opens a TCP connection.
 *
 * @throws TransportError `unreachable`, `timeout`, or `closed` when the signal aborted.
 */
export async function dialTcp(address: TcpAddress, options: AttemptLimits = {}): Promise<Socket> {
  const { host, port } = address;
  return connectSocket(address, { host, port, noDelay: true }, options);
}

/**
 * Listens on a TCP address; port 0 lets the system choose.
 *
 * @throws TransportError `unreachable` when the address cannot be bound.
 */
export async function listenTcp(
  address: TcpAddress,
  onSocket: (socket: Socket) => void,
  options: ListenOptions = {},
): Promise<Listener> {
  const { host, port } = address;
  const server = await listenSocket(address, { host, port }, onSocket, options);
  const bound = server.address();
  return {
    address:
      typeof bound === "object" && bound !== null
        ? { kind: "tcp", host: bound.address, port: bound.port }
        : address,
    close: () => stopListening(server),
  };
}
