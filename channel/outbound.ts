/**
 * What a session has to send: frames that wait, and the sealer that makes records of them
 * (docs/protocol.md §7, §8). It decides what goes into a record at the moment it is sealed.
 */
import { ControlQueue } from "./control-queue.ts";
import { RECORD_HEADROOM } from "./outer-message.ts";
import { MAX_CONTENT_BYTES, type Sealer } from "./record.ts";
import { RecordBuffer } from "./record-buffer.ts";
import { Turns } from "./turns.ts";
import type { AlertCode } from "./violation.ts";

/**
 * Bytes of frames in one record beside calls that have little to send: what the next of them waits
 * behind. A message of 64 KiB fits whole, and Padmé adds nothing.
 */
const RECORD_BYTES = 67_583;
/** Records after a small call in which another one is expected. */
const SMALL_CALLS_END = 32;
const record = new RecordBuffer();

export class Outbound {
  readonly control: ControlQueue = new ControlQueue();
  readonly turns: Turns = new Turns();
  readonly #sealer: Sealer;
  readonly #afterSeal: (() => void)[] = [];
  /** Time alone made it due; it leaves also when there is nothing to say. */
  #keyUpdateIsDue = false;
  #isDestroyed = false;
  /** Records since the last that found a small call. */
  #sinceShort = 0;

  constructor(sealer: Sealer) {
    this.#sealer = sealer;
  }

  get isEmpty(): boolean {
    return !this.#keyUpdateIsDue && this.control.isEmpty && this.turns.isEmpty;
  }

  /** Whether nothing can be sealed any more. */
  get isDestroyed(): boolean {
    return this.#isDestroyed;
  }

  /** When the key must change, if it does not because of bytes earlier; Infinity: it is noted. */
  get keyUpdateAtMs(): number {
    return this.#keyUpdateIsDue ? Infinity : this.#sealer.keyUpdateAtMs;
  }

  /** Notes a key update that is due. */
  tick(nowMs: number): void {
    this.#keyUpdateIsDue ||= this.#sealer.keyUpdateDue(nowMs);
  }

  /** Calls back once the record that is being filled is sealed. */
  afterSeal(callbacks: readonly (() => void)[]): void {
    for (const callback of callbacks) this.#afterSeal.push(callback);
  }

  runAfterSeal(): void {
    if (this.#afterSeal.length > 0) for (const callback of this.#afterSeal.splice(0)) callback();
  }

  /** Fills the next record; gives the bytes of its frames. `last` as in `ControlQueue.write`. */
  fill(last: () => number): number {
    this.#sinceShort = this.turns.hasShort ? 0 : this.#sinceShort + 1;
    record.begin(this.#sinceShort < SMALL_CALLS_END ? RECORD_BYTES : MAX_CONTENT_BYTES);
    this.control.write(record, last);
    this.turns.write(record);
    return record.length;
  }

  /**
   * Seals the record that was filled; `undefined` when there is nothing to seal.
   *
   * @throws ChannelError `key-limit`
   */
  seal(frameBytes: number, isEnd: boolean, nowMs: number): Uint8Array | undefined {
    const keyUpdate = this.#sealer.keyUpdateDue(nowMs);
    this.#keyUpdateIsDue = false;
    if (frameBytes === 0 && !isEnd && !keyUpdate) return undefined;
    const type = isEnd ? "end" : keyUpdate ? "key-update" : "frames";
    return this.#sealer.sealFilled(type, record.bytes, frameBytes, RECORD_HEADROOM);
  }

  /** The last record that this side sends. @throws ChannelError `key-limit` */
  sealAlert(code: AlertCode): Uint8Array {
    try {
      return this.#sealer.seal("alert", Uint8Array.of(0, code), RECORD_HEADROOM);
    } finally {
      this.destroy();
    }
  }

  /** Forgets what waits. */
  clear(): void {
    this.control.clear();
    this.turns.clear();
  }

  destroy(): void {
    this.#isDestroyed = true;
    this.#sealer.destroy();
  }
}
