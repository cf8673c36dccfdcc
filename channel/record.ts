/**
 * Records: the row of sealed units that each direction of a session consists of
 * (docs/protocol.md §7). A `Sealer` makes the records of one direction, an `Opener` reads them.
 */
import { TAG_BYTES, type CryptoBackend } from "../crypto/backend.ts";
import { ChannelError } from "./errors.ts";
import {
  IV_BYTES,
  nextTrafficSecret,
  recordNonce,
  trafficKey,
  type SealingKey,
} from "./key-schedule.ts";
import { MAX_PLAINTEXT_BYTES, paddedLength, type Padding } from "./padding.ts";
import { takeArray } from "./record-array.ts";
import type { SuiteId } from "./suite.ts";

/** What a record is, beside the frames in it. */
export type RecordType = "frames" | "end" | "key-update" | "alert";

/** Most bytes of frames in a record, which also holds its type. */
export const MAX_CONTENT_BYTES: number = MAX_PLAINTEXT_BYTES - 1;
/** Most bytes of a record. */
export const MAX_RECORD_BYTES: number = MAX_PLAINTEXT_BYTES + TAG_BYTES;

const TYPES: readonly (RecordType | undefined)[] = [
  undefined,
  "frames",
  "end",
  "key-update",
  "alert",
];
const ALERT_BYTES = 2;
const DEFAULT_KEY_LIMIT_BYTES = 2 ** 30;
const DEFAULT_KEY_LIMIT_MS = 600_000;

/** What both directions start from. Times are milliseconds of any one monotonic clock. */
export interface DirectionOptions {
  readonly backend: CryptoBackend;
  readonly suite: SuiteId;
  /** ts[0] of the direction. Moved in: the array is filled with zero. */
  readonly secret: Uint8Array;
  readonly nowMs: number;
  /** Bytes under one key, as §7 counts them, after which a sender changes it. @default 1 GiB */
  readonly keyLimitBytes?: number;
  /** Age after which a sender changes its key. @default 10 minutes */
  readonly keyLimitMs?: number;
}

/** A record that was opened. */
export interface OpenedRecord {
  readonly type: RecordType;
  /** Frames, or the u16 of an alert: a view of an array that nothing else refers to. */
  readonly content: Uint8Array;
}

/** Seals the records of one direction, in order. */
export class Sealer {
  readonly #key: DirectionKey;
  readonly #padding: Padding;
  #nowMs: number;
  #ended = false;

  constructor(options: DirectionOptions & { readonly padding: Padding }) {
    paddedLength(options.padding, 1);
    this.#key = new DirectionKey(options);
    this.#padding = options.padding;
    this.#nowMs = options.nowMs;
  }

  /** Whether the next record must be a `key-update`. Asked before each seal. */
  keyUpdateDue(nowMs: number): boolean {
    this.#nowMs = nowMs;
    return this.#key.isSpent(nowMs, 0, 1);
  }

  /** The time from which `keyUpdateDue` holds, if it does not because of bytes earlier. */
  get keyUpdateAtMs(): number {
    return this.#key.spentAtMs;
  }

  /** Seals `content` as one record; see `sealFilled`. */
  seal(type: RecordType, content: Uint8Array, headroom = 0): Uint8Array {
    const plaintext = new Uint8Array(paddedLength(this.#padding, content.length + 1));
    plaintext.set(content);
    return this.sealFilled(type, plaintext, content.length, headroom);
  }

  /**
   * Seals one record whose content is the first `length` bytes of `plaintext`; what is behind them
   * is overwritten with type and padding, for which there must be room. Gives `headroom` bytes of any
   * content and then the record, in one array, which `giveArray` takes back. A `key-update` is the
   * last record under its key; nothing can follow an `end` or an `alert`.
   *
   * @throws RangeError when the content does not fit, before anything is sealed.
   * @throws TypeError after `end`, `alert` or `destroy`.
   * @throws ChannelError `key-limit` when a due key update was not made for as long again.
   */
  sealFilled(
    type: RecordType,
    plaintext: Uint8Array,
    length: number,
    headroom: number,
  ): Uint8Array {
    if (this.#ended) throw new TypeError("nothing can follow an end or an alert");
    if (length > MAX_CONTENT_BYTES) {
      throw new RangeError(`a record holds ${MAX_CONTENT_BYTES} bytes, not ${length}`);
    }
    const padded = paddedLength(this.#padding, length + 1);
    if (this.#key.isSpent(this.#nowMs, padded, 2)) {
      throw new ChannelError("key-limit", "the key was used twice as much as it may be");
    }
    plaintext[length] = TYPES.indexOf(type);
    plaintext.fill(0, length + 1, padded);
    const record = takeArray(headroom + padded + TAG_BYTES);
    this.#key.seal(plaintext.subarray(0, padded), record.subarray(headroom));
    if (type === "key-update") this.#key.update(this.#nowMs);
    else this.#ended = type !== "frames";
    return record;
  }

  /** Erases the keys: nothing can be sealed any more. */
  destroy(): void {
    this.#ended = true;
    this.#key.destroy();
  }
}

/**
 * Opens the records of one direction, in order.
 *
 * The nonce is a counter that both ends know, so a record that was dropped, repeated, moved or
 * changed does not open, and there is nothing else to check.
 */
export class Opener {
  readonly #key: DirectionKey;
  #dead: ChannelError | undefined;

  constructor(options: DirectionOptions) {
    this.#key = new DirectionKey(options);
  }

  /**
   * Opens the next record.
   *
   * Invariant: after a throw this direction is dead, its keys are erased, and every later call
   * throws the same error; so there is one attempt at forgery a session.
   *
   * @throws ChannelError `record-too-large`, `key-limit`, `authentication-failed` and
   * `malformed-record`, tested in this order.
   */
  open(record: Uint8Array, nowMs: number): OpenedRecord {
    if (this.#dead !== undefined) throw this.#dead;
    try {
      return this.#open(record, nowMs);
    } catch (error) {
      this.#dead = error as ChannelError;
      this.#key.destroy();
      throw error;
    }
  }

  #open(record: Uint8Array, nowMs: number): OpenedRecord {
    if (record.length > MAX_RECORD_BYTES) {
      throw new ChannelError("record-too-large", `${record.length} bytes of ${MAX_RECORD_BYTES}`);
    }
    if (this.#key.isSpent(nowMs, Math.max(0, record.length - TAG_BYTES), 2)) {
      throw new ChannelError("key-limit", "the peer did not change its key in time");
    }
    const plaintext = record.length > TAG_BYTES ? this.#key.open(record) : undefined;
    if (plaintext === undefined) {
      throw new ChannelError("authentication-failed", "a record does not open");
    }
    const opened = parsePlaintext(plaintext);
    if (opened.type === "key-update") this.#key.update(nowMs);
    if (opened.type === "end" || opened.type === "alert") this.destroy();
    return opened;
  }

  /** Erases the keys: nothing can be opened any more. */
  destroy(): void {
    this.#dead ??= new ChannelError("malformed-record", "a record after the end");
    this.#key.destroy();
  }
}

/** frames ‖ u8(type) ‖ zero bytes */
function parsePlaintext(plaintext: Uint8Array): OpenedRecord {
  let end = plaintext.length - 1;
  while (end >= 0 && plaintext[end] === 0) end--;
  const type = TYPES[plaintext[end] ?? 0];
  if (type === undefined) {
    throw new ChannelError("malformed-record", `record type ${plaintext[end] ?? "missing"}`);
  }
  if (type === "alert" && end !== ALERT_BYTES) {
    throw new ChannelError("malformed-record", `an alert of ${end} bytes, expected ${ALERT_BYTES}`);
  }
  return { type, content: plaintext.subarray(0, end) };
}

/** The key of one direction as it is now: ts[n], its AEAD, the counter and what it has sealed. */
class DirectionKey {
  readonly #backend: CryptoBackend;
  readonly #suite: SuiteId;
  readonly #limitBytes: number;
  readonly #limitMs: number;
  readonly #nonce = new Uint8Array(IV_BYTES);
  #secret: Uint8Array;
  #key: SealingKey;
  #sinceMs: number;
  #counter = 0;
  #bytes = 0;

  constructor(options: DirectionOptions) {
    this.#backend = options.backend;
    this.#suite = options.suite;
    this.#limitBytes = options.keyLimitBytes ?? DEFAULT_KEY_LIMIT_BYTES;
    this.#limitMs = options.keyLimitMs ?? DEFAULT_KEY_LIMIT_MS;
    this.#sinceMs = options.nowMs;
    this.#secret = options.secret.slice();
    options.secret.fill(0);
    this.#key = trafficKey(this.#backend, this.#suite, this.#secret);
  }

  get spentAtMs(): number {
    return this.#sinceMs + this.#limitMs;
  }

  /** Whether the key is past `factor` times its limits, with one more plaintext if there is one. */
  isSpent(nowMs: number, plaintextBytes: number, factor: 1 | 2): boolean {
    const overtime = nowMs - this.#sinceMs - factor * this.#limitMs;
    const overrun = this.#bytes + cost(plaintextBytes) - factor * this.#limitBytes;
    return overtime >= 0 || overrun >= 0;
  }

  seal(plaintext: Uint8Array, record: Uint8Array): void {
    this.#key.aead.seal(this.#nextNonce(), plaintext, record);
    this.#bytes += cost(plaintext.length);
  }

  open(record: Uint8Array): Uint8Array | undefined {
    const plaintext = this.#key.aead.open(this.#nextNonce(), record);
    this.#bytes += cost(record.length - TAG_BYTES);
    return plaintext;
  }

  update(nowMs: number): void {
    const secret = nextTrafficSecret(this.#backend, this.#secret);
    this.destroy();
    this.#secret = secret;
    this.#key = trafficKey(this.#backend, this.#suite, secret);
    this.#sinceMs = nowMs;
    this.#counter = 0;
    this.#bytes = 0;
  }

  destroy(): void {
    this.#key.aead.destroy();
    this.#key.iv.fill(0);
    this.#secret.fill(0);
  }

  /** Invariant: the counter moves before the nonce is used, so none serves twice, whatever fails. */
  #nextNonce(): Uint8Array {
    return recordNonce(this.#key.iv, this.#counter++, this.#nonce);
  }
}

/** What a record counts against its key's limit: its blocks, and one for the tag. */
function cost(plaintextBytes: number): number {
  return plaintextBytes === 0 ? 0 : 16 * (Math.ceil(plaintextBytes / 16) + 1);
}
