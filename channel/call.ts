/** One call of a session (docs/protocol.md §8, §9). */
import type { ResponseHeader, Status } from "./call-message.ts";

export interface Call {
  /** Its number in the session; 0 at a client until OPEN is sealed. */
  readonly id: number;
  /** Session time at which it must be over, in milliseconds; Infinity: none. */
  readonly deadlineMs: number;
  sendMessage(message: Uint8Array, compressed?: boolean, onTaken?: () => void): void;
  read(): void;
  halfClose(): void;
  cancel(): void;
  start(needsHalfClose: boolean): boolean;
  sendHeaders(header: ResponseHeader): void;
  end(status: Status): void;
  refuse(status: Status, elsewhere?: boolean): void;
  release(): void;
}
