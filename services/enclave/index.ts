/** Public subpath `sealrpc/enclave`: the server that runs inside the enclave. */
export { callerOf, type SealedAuthContext } from "./caller.ts";
export type {
  BidiHandler,
  ClientStreamHandler,
  Handlers,
  ServerStreamHandler,
  UnaryHandler,
} from "./handlers.ts";
export type { Health, ServingStatus } from "./health.ts";
export { DEFAULT_LIMITS, type EnclaveLimits } from "./limits.ts";
export type { Logger } from "./logger.ts";
export type { OpenCall } from "./open-call.ts";
export type { EnclaveServerOptions } from "./options.ts";
export type { RawHandler } from "./raw-handler.ts";
export { EnclaveServer } from "./server.ts";
