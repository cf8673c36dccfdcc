/** What every kind of listener offers and takes. */
import type { Address } from "./address.ts";

/** What may be set for one listener. */
export interface ListenOptions {
  /** Permission bits of a Unix socket's file; the process's umask decides by default. */
  readonly mode?: number | undefined;
  /** Bytes that the kernel takes in ahead of us on vsock, which bounds the peer's packets; 28,672 by default. */
  readonly vsockBufferBytes?: number | undefined;
  /** CIDs that may connect over vsock; every one by default. */
  readonly vsockPeers?: readonly number[] | undefined;
  /** A connection could not be accepted; the listener goes on. */
  readonly onAcceptError?: ((error: Error) => void) | undefined;
}

/** A listening address. */
export interface Listener {
  /** The bound address: port 0 has become the one that the system chose. */
  readonly address: Address;
  /** Stops listening. Connections that were accepted stay as they are. */
  close(): Promise<void>;
}
