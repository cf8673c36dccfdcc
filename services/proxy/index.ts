/** The host's proxy, as a library. */
export type { ProxyTls } from "./front-door.ts";
export { DEFAULT_LIMITS, type ProxyLimits } from "./limits.ts";
export type { Logger } from "./logger.ts";
export {
  DEFAULT_WINDOW_BYTES,
  type Proxy,
  type ProxyLoad,
  type ProxyOptions,
  startProxy,
} from "./proxy.ts";
