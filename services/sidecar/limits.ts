/** The bounds of a sidecar. Whoever may connect is trusted with calls, not with its memory. */

/** Each a positive integer; {@link DEFAULT_LIMITS} has the defaults. */
export interface SidecarLimits {
  /** Client connections at once. */
  readonly maxConnections: number;
  /** Calls at once on one connection; a client waits with those beyond. */
  readonly maxCallsPerConnection: number;
  /** The longest message that passes, either way. The ends have limits of their own. */
  readonly maxMessageBytes: number;
  /**
   * Bytes that are kept, over all calls, of messages that are not whole or that nobody reads: once
   * for what the enclave sent, once for what is on its way from or to clients.
   */
  readonly maxBufferedBytes: number;
}

/** What applies unless the options say otherwise. */
export const DEFAULT_LIMITS: SidecarLimits = {
  maxConnections: 1024,
  maxCallsPerConnection: 4096,
  maxMessageBytes: 16 * 1024 * 1024,
  maxBufferedBytes: 256 * 1024 * 1024,
};
