/** Takes connections on any kind of address; one file a kind does the work. */
import type { Socket } from "node:net";
import type { Address } from "./address.ts";
import type { Listener, ListenOptions } from "./listener.ts";
import { listenHybridVsock } from "./hybrid-vsock.ts";
import { listenTcp } from "./tcp.ts";
import { listenUnix } from "./unix.ts";

export type { Listener, ListenOptions } from "./listener.ts";

/**
 * Listens.
 *
 * Each accepted socket comes without an `error` listener: `onSocket` adds one at once.
 *
 * @throws TransportError `unreachable` when the address cannot be bound.
 */
export async function listen(
  address: Address,
  onSocket: (socket: Socket) => void,
  options: ListenOptions = {},
): Promise<Listener> {
  switch (address.kind) {
    case "tcp":
      return listenTcp(address, onSocket, options);
    case "unix":
      return listenUnix(address, onSocket, options);
    case "hybrid-vsock":
      return listenHybridVsock(address, onSocket, options);
    case "vsock":
      break;
  }
  // Loaded on use: it needs Linux and a native library.
  const { listenVsock } = await import("./vsock.ts");
  return listenVsock(address, onSocket, options);
}
