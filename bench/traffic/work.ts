/** What a client can be asked to do, and what it says of it. */

export type Work = UnaryWork | StreamWork | HandshakesWork | UnreadWork;

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
  /** How long a stream has to find its rate before what arrives counts for it; 0 unless given. */
  readonly leadMs?: number;
  readonly durationMs: number;
}

export interface HandshakesWork {
  readonly kind: "handshakes";
  /** At once. */
  readonly clients: number;
  readonly durationMs: number;
}

/** Downloads that nobody reads. */
export interface UnreadWork {
  readonly kind: "unread";
  readonly calls: number;
  readonly messageBytes: number;
  readonly durationMs: number;
}

/** What was done in the time. */
export interface Done {
  readonly seconds: number;
  readonly calls: number;
  readonly mib: number;
  /** Handshakes that failed and were made again. */
  readonly retries?: number;
  /** Of calls and handshakes. */
  readonly p50Ms?: number;
  readonly p99Ms?: number;
}
