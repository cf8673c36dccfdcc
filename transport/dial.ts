/** Opens a connection to any kind of address; one file a kind does the work. */
import type { Socket } from "node:net";
import type { Address } from "./address.ts";
import { dialHybridVsock } from "./hybrid-vsock.ts";
import { dialTcp } from "./tcp.ts";
import { dialUnix } from "./unix.ts";
import type { VsockDialOptions } from "./vsock.ts";

/** What may be set for one dial; kinds take what concerns them. */
export type DialOptions = VsockDialOptions;

/**
 * Opens a connection.
 *
 * The socket has no `error` listener: the caller adds one before anything else happens.
 *
 * @throws TransportError `unreachable`; `timeout`; `closed` when the signal aborted or the peer
 *   closed during the handshake. RangeError when a vsock address names no peer (`any`).
 */
export async function dial(address: Address, options: DialOptions = {}): Promise<Socket> {
  switch (address.kind) {
    case "tcp":
      return dialTcp(address, options);
    case "unix":
      return dialUnix(address, options);
    case "hybrid-vsock":
      return dialHybridVsock(address, options);
    case "vsock":
      break;
  }
  // Loaded on use: it needs Linux and a native library.
  const { dialVsock } = await import("./vsock.ts");
  return dialVsock(address, options);
}
