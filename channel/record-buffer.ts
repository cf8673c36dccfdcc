/**
 * The plaintext of the record that is being filled. There is one for all sessions of a process,
 * since a record is filled and sealed in one synchronous step.
 */
import type { RequestHeader, ResponseHeader, Status } from "./call-message.ts";
import { boundOf, MAX_HEADER_BYTES, writeHeader } from "./call-message.ts";
import { MAX_PLAINTEXT_BYTES } from "./padding.ts";
import { FRAME_HEADER_BYTES, writeFrameHeader, writeU32 } from "./frame.ts";

export class RecordBuffer {
  readonly bytes: Uint8Array = new Uint8Array(MAX_PLAINTEXT_BYTES);
  /** How much is filled. */
  length = 0;
  #limit = 0;

  /** Starts a record of at most `limit` bytes of frames. */
  begin(limit: number): void {
    this.length = 0;
    this.#limit = limit;
  }

  /** Bytes that a frame may still take, its header included. */
  get room(): number {
    return this.#limit - this.length;
  }

  /** Writes a frame whose body is a few u32, if there is room. */
  writeWords(type: number, flags: number, callId: number, words: readonly number[]): boolean {
    if (this.room < FRAME_HEADER_BYTES + 4 * words.length) return false;
    let at = writeFrameHeader(this.bytes, this.length, type, flags, callId, 4 * words.length);
    for (const word of words) {
      writeU32(this.bytes, at, word);
      at += 4;
    }
    this.length = at;
    return true;
  }

  /** Whether a frame with this header, which `fits`, has room; an empty record always has. */
  canHold(header: RequestHeader | ResponseHeader | Status): boolean {
    return this.room >= FRAME_HEADER_BYTES + Math.min(boundOf(header), MAX_HEADER_BYTES);
  }

  /** Writes a frame that carries a header or status, if there is room. */
  writeHeader(
    type: number,
    flags: number,
    callId: number,
    header: RequestHeader | ResponseHeader | Status,
  ): boolean {
    if (!this.canHold(header)) return false;
    const body = this.length + FRAME_HEADER_BYTES;
    const end = writeHeader(this.bytes, body, header);
    writeFrameHeader(this.bytes, this.length, type, flags, callId, end - body);
    this.length = end;
    return true;
  }
}
