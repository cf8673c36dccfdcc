/** What a client can be asked to do, and what it says of it. */

export type Work = UnaryWork | StreamWork;

export interface UnaryWork {
  readonly kind: "unary";
  readonly bytes: number;
  readonly outstanding: number;
  readonly durationMs: number;
}

export interface StreamWork {
  readonly kind: "stream";
  /** Seen from the client. */
  readonly direction: "up" | "down" | "both";
  readonly messageBytes: number;
  readonly durationMs: number;
}

/** What was done in the time. */
export interface Done {
  readonly seconds: number;
  readonly calls: number;
  readonly mib: number;
  /** Of calls, sorted; empty for streams. */
  readonly p50Ms?: number;
  readonly p99Ms?: number;
}
