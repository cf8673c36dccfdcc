/** Public subpath `sealrpc/sidecar`: plain gRPC in, sealed out. */
export { DEFAULT_LIMITS, type SidecarLimits } from "./limits.ts";
export type { Logger } from "./logger.ts";
export { type Sidecar, type SidecarOptions, type SidecarTls, startSidecar } from "./sidecar.ts";
