/** What may be chosen for a server. */
import type { ServerInterceptor } from "@grpc/grpc-js";

import type { Attester } from "../../attestation/nsm/attester.ts";
import type { Policy, PolicyOptions } from "../../attestation/policy.ts";
import type { Padding } from "../../channel/padding.ts";
import type { SuiteId } from "../../channel/suite.ts";
import type { EnclaveLimits } from "./limits.ts";
import type { Logger } from "./logger.ts";
import type { RawHandler } from "./raw-handler.ts";

export interface EnclaveServerOptions {
  /**
   * Who attests to this enclave; not closed by the server.
   *
   * @default the NSM device, opened when the server first listens
   */
  readonly attester?: Attester;
  /** Given: only callers that attest and that this policy admits get a session. */
  readonly callers?: Policy | PolicyOptions;
  readonly limits?: Partial<EnclaveLimits>;
  /**
   * CIDs that may connect to `vsock:` addresses: 3 is the parent of a Nitro enclave, whom the seal takes
   * for hostile all the same. @default all
   */
  readonly vsockPeers?: readonly number[] | undefined;
  /**
   * Bytes that the kernel takes in ahead on `vsock:` addresses, which bounds the host's packets.
   *
   * @default 28,672, since several kernels lose or corrupt packets above 32 KiB
   */
  readonly vsockBufferBytes?: number | undefined;
  /** Cipher suites that clients may choose from. @default all */
  readonly suites?: readonly SuiteId[];
  /** Bytes of the application that every client sees attested; up to about 4000. */
  readonly appInfo?: Uint8Array;
  /** Of grpc-js, applied to every call in this order, the last one next to the handler. */
  readonly interceptors?: readonly ServerInterceptor[];
  /** -1: unlimited. @default 4 MiB */
  readonly maxReceiveMessageBytes?: number;
  /** -1: unlimited. @default -1 */
  readonly maxSendMessageBytes?: number;
  /** How much the size of what is sent is hidden. @default "padme" */
  readonly padding?: Padding;
  /** Offers gRPC server reflection, inside the seal. @default false */
  readonly reflection?: boolean;
  /**
   * Serves, as bytes, every method that was not added, the health service included: the server adds
   * none of its own then. @default UNIMPLEMENTED
   */
  readonly rawHandler?: RawHandler;
  /** @default JSON lines on stderr */
  readonly logger?: Logger;
  /**
   * Told what handlers and interceptors throw. Callers see "Unknown error" and the log sees the
   * error's name and code, since the host may read the log and the text may hold anything.
   */
  readonly onHandlerError?: (error: unknown, path: string) => void;
}
