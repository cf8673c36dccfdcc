/** What one process tells the next on the way to a server. */
import type { SimulatorPolicyOptions } from "sealrpc/nsm";

export interface Reachable {
  /** `host:port` or `unix:/path`. */
  readonly address: string;
  /** PEM: the certificate to trust, where TLS ends at the server. */
  readonly trust?: string | undefined;
  /** What the enclave must prove, where it is one. */
  readonly policy?: SimulatorPolicyOptions | undefined;
  /** What a client of `ehbp` seals to, in hex. */
  readonly hpkeKey?: string | undefined;
  /** A folder for sockets. */
  readonly folder: string;
}
