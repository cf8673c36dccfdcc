/** The bounds of a proxy: what one peer may take, and what all may take together (docs/protocol.md §11). */

/** Each a positive integer; {@link DEFAULT_LIMITS} has the defaults. */
export interface ProxyLimits {
  /** Front connections at once. */
  readonly maxConnections: number;
  /** Front connections at once of one IPv4 address or IPv6 /64 network. */
  readonly maxConnectionsPerAddress: number;
  /** Streams at once on one front connection; each is one session. */
  readonly maxStreamsPerConnection: number;
  /** Sessions that one address may open a second, after a first burst of four times that. */
  readonly maxSessionsPerSecond: number;
  /** Connections to the enclave at once; more than one only when the first is full of streams. */
  readonly maxEnclaveConnections: number;
  /** Bytes that may wait in the proxy, both ways, over all streams; beyond it the greediest stream is ended. */
  readonly maxBufferedBytes: number;
}

/** What applies unless the options say otherwise. */
export const DEFAULT_LIMITS: ProxyLimits = {
  maxConnections: 1024,
  maxConnectionsPerAddress: 256,
  maxStreamsPerConnection: 100,
  maxSessionsPerSecond: 50,
  maxEnclaveConnections: 16,
  maxBufferedBytes: 512 * 1024 * 1024,
};

/**
 * A stream's sender pauses while this much waits for its receiver, and goes on at half. Both hops
 * then stay busy, and a stream that stands still costs no more than this and a window.
 */
export const PAUSE_BYTES: number = 256 * 1024;

/** Compressed and uncompressed size of a header block, from either side. */
export const MAX_HEADER_BYTES: number = 32 * 1024;

/** Header fields of one block, from either side. */
export const MAX_HEADER_FIELDS = 128;
