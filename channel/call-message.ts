/** The messages that OPEN, HEADERS, END and REFUSED carry (docs/protocol.md §3, §8). */

/** One metadata entry; values under a "-bin" key are raw bytes. */
export interface Entry {
  readonly key: string;
  readonly value: Uint8Array;
}

export interface RequestHeader {
  readonly method: string;
  readonly metadata: readonly Entry[];
  readonly sentMs: number;
  readonly timeoutMs: number;
  readonly encoding: string;
  readonly authority: string;
}

export interface ResponseHeader {
  readonly metadata: readonly Entry[];
  readonly encoding: string;
}

export interface Status {
  readonly code: number;
  readonly message: string;
  readonly trailers: readonly Entry[];
}
