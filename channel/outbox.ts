/**
 * The messages that wait to be sent for one call: cut into MESSAGE frames as credit and room allow
 * (docs/protocol.md §8). What is held here is bounded by back-pressure on the application.
 */
import { COMPRESSED, FRAME_HEADER_BYTES, MESSAGE, MESSAGE_COST, MORE } from "./frame.ts";
import { writeFrameHeader, writeU32 } from "./frame.ts";
import type { RecordBuffer } from "./record-buffer.ts";

/** The application is asked to wait while a call has this much queued. */
const QUEUE_BYTES = 262_144;
/** Below this a message is not cut for want of room in a record; it waits for the next. */
const MIN_PIECE_BYTES = 1024;

interface Outgoing {
  readonly bytes: Uint8Array;
  readonly compressed: boolean;
  /** How much of it has left. */
  sent: number;
}

export class Outbox {
  /** Bytes that the peer still receives for the call. */
  credit: number;
  /** What waits costs, so that empty messages count too. */
  queuedBytes = 0;
  /** Bytes of messages that have left so far. */
  movedBytes = 0;
  #queue: Outgoing[] = [];
  /** Callbacks of messages that are queued, while the queue is too long. */
  #waiting: (() => void)[] = [];

  constructor(initialCredit: number) {
    this.credit = initialCredit;
  }

  get isEmpty(): boolean {
    return this.#queue.length === 0;
  }

  /** Whether a frame of the next message may leave now. */
  get canSend(): boolean {
    const next = this.#queue[0];
    if (next === undefined) return false;
    const rest = next.bytes.length - next.sent;
    return this.credit >= MESSAGE_COST + Math.min(rest, next.sent === 0 ? 5 : 1);
  }

  /** `onTaken` is called once: when there is room for the next message, or nothing will be sent. */
  push(bytes: Uint8Array, compressed: boolean, onTaken: (() => void) | undefined): void {
    this.#queue.push({ bytes, compressed, sent: 0 });
    this.queuedBytes += MESSAGE_COST + bytes.length;
    if (onTaken === undefined) return;
    if (this.queuedBytes < QUEUE_BYTES) onTaken();
    else this.#waiting.push(onTaken);
  }

  /** Forgets what is queued; gives the callbacks that wait. */
  drop(): readonly (() => void)[] {
    this.#queue = [];
    this.queuedBytes = 0;
    return this.#release();
  }

  /**
   * Writes frames of at most about `turnBytes` into the record.
   *
   * @returns callbacks to call once the record is sealed.
   */
  write(record: RecordBuffer, callId: number, turnBytes: number): readonly (() => void)[] {
    const end = record.length + turnBytes;
    for (let next = this.#queue[0]; next !== undefined && this.canSend; next = this.#queue[0]) {
      if (record.length >= end || !this.#writePiece(record, callId, next, end - record.length))
        break;
      if (next.sent === next.bytes.length) {
        this.#queue.shift();
        this.queuedBytes -= MESSAGE_COST;
      }
    }
    return this.queuedBytes < QUEUE_BYTES ? this.#release() : NONE;
  }

  #writePiece(record: RecordBuffer, callId: number, next: Outgoing, turn: number): boolean {
    const { bytes, sent } = next;
    const rest = bytes.length - sent;
    const first = sent === 0;
    const flag = first && next.compressed ? COMPRESSED : 0;
    const room = Math.min(record.room - FRAME_HEADER_BYTES, Math.max(turn, MIN_PIECE_BYTES));
    const whole = rest <= room && MESSAGE_COST + rest <= this.credit;
    const announce = first && !whole ? 4 : 0;
    const piece = whole ? rest : Math.min(rest, room, this.credit - MESSAGE_COST) - announce;
    if (piece < (whole ? 0 : 1) || (!whole && room < MIN_PIECE_BYTES)) return false;
    const body = announce + piece;
    const flags = flag | (whole ? 0 : MORE);
    let at = writeFrameHeader(record.bytes, record.length, MESSAGE, flags, callId, body);
    if (announce > 0) {
      writeU32(record.bytes, at, bytes.length);
      at += 4;
    }
    record.bytes.set(first && whole ? bytes : bytes.subarray(sent, sent + piece), at);
    record.length = at + piece;
    this.credit -= MESSAGE_COST + body;
    this.queuedBytes -= piece;
    this.movedBytes += piece;
    next.sent += piece;
    return true;
  }

  #release(): readonly (() => void)[] {
    if (this.#waiting.length === 0) return NONE;
    const waiting = this.#waiting;
    this.#waiting = [];
    return waiting;
  }
}

const NONE: readonly never[] = [];
