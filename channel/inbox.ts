/**
 * The messages that arrive for one call: assembled from MESSAGE frames, bounded by credit, handed to
 * the application one for each read (docs/protocol.md §8).
 */
import type { CallHost } from "./call-host.ts";
import { ReceiveCredit, type Link } from "./credit.ts";
import { Fifo } from "./fifo.ts";
import { COMPRESSED, MESSAGE_COST, MORE, readU32 } from "./frame.ts";
import { ALERT, Violation, malformed } from "./violation.ts";

/** What a receiver is told. */
export interface InboxEvents {
  onMessage(message: Uint8Array, compressed: boolean): void;
  /** No message is left and none will come. */
  onDrained(): void;
}

interface Message {
  readonly bytes: Uint8Array;
  readonly compressed: boolean;
  readonly cost: number;
}

/** Pieces of a message that is not whole yet. */
interface Assembly {
  readonly total: number;
  readonly compressed: boolean;
  readonly pieces: Uint8Array[];
  received: number;
  cost: number;
}

/** Room for the cost of a few more frames, so that small pieces do not need a grant each. */
const PIECE_BYTES = 16_384;
/** What an array takes beside its bytes and `MESSAGE_COST`, be it of one byte. */
const ARRAY_BYTES = 224;
/** The least that a sender can start a message with: its length, and one byte. */
const START_BYTES = 5;

export class Inbox {
  /** Bytes of messages that came so far. */
  movedBytes = 0;
  readonly #events: InboxEvents;
  readonly #credit: ReceiveCredit;
  readonly #maxMessageBytes: number;
  readonly #memory: CallHost["memory"];
  #messages = new Fifo<Message>();
  #assembly: Assembly | undefined;
  #wanted = false;
  #delivering = false;
  #ended = false;
  #drained = false;

  constructor(events: InboxEvents, host: CallHost) {
    const { maxReceiveMessageBytes } = host;
    this.#events = events;
    this.#credit = new ReceiveCredit(host.receiveCredit);
    this.#maxMessageBytes = maxReceiveMessageBytes < 0 ? Infinity : maxReceiveMessageBytes;
    this.#memory = host.memory;
  }

  /** What is kept for the application takes, small pieces and messages at their real size. */
  get heldBytes(): number {
    if (this.#drained) return 0;
    const arrays = this.#messages.length + (this.#assembly?.pieces.length ?? 0);
    return this.#credit.heldBytes + ARRAY_BYTES * arrays;
  }

  /**
   * Takes one MESSAGE frame out of a record of `recordBytes`; gives its cost.
   *
   * @returns "too-large" when the message is beyond the receiver's limit: the call must end.
   * @throws Violation `malformed`, `state` or `credit`
   */
  accept(flags: number, body: Uint8Array, recordBytes: number): number | "too-large" {
    if (this.#ended) throw new Violation(ALERT.state, "malformed-frame", "MESSAGE came after END");
    const cost = MESSAGE_COST + body.length;
    this.#credit.receive(cost);
    this.movedBytes += body.length;
    const assembly = this.#assembly;
    if (assembly !== undefined) this.#continue(assembly, flags, body, recordBytes, cost);
    else if ((flags & MORE) !== 0) return this.#begin(flags, body, recordBytes, cost);
    else if (body.length > this.#maxMessageBytes) return "too-large";
    else this.#push(keep(body, recordBytes), (flags & COMPRESSED) !== 0, cost);
    return cost;
  }

  /** @throws Violation when the peer's END came before, or would come inside a message. */
  requireEnd(): void {
    if (this.#ended) throw new Violation(ALERT.state, "malformed-frame", "END came twice");
    if (this.#assembly !== undefined) throw malformed("END came inside a message");
  }

  /** The peer's END. @throws as `requireEnd` does. */
  end(): void {
    this.requireEnd();
    this.#ended = true;
    this.#deliver();
  }

  /** The application wants one more message. */
  read(): void {
    this.#wanted = true;
    this.#deliver();
  }

  /** Forgets what is held; nothing is delivered any more. */
  drop(): void {
    this.#messages = new Fifo();
    this.#assembly = undefined;
    this.#wanted = false;
    this.#drained = true;
  }

  /** The grant that is due to the peer, 0 for none. */
  grant(link: Link): number {
    if (this.#ended || this.#drained) return 0;
    const waits = this.#wanted && this.#messages.length === 0;
    const { cost = 0 } = this.#assembly ?? {};
    return this.#credit.grant(waits ? { cost, demand: costOf(this.#assembly) } : undefined, link);
  }

  #begin(flags: number, body: Uint8Array, recordBytes: number, cost: number): number | "too-large" {
    if (body.length <= 4) throw malformed("the first piece of a message is empty");
    const total = readU32(body, 0);
    const piece = body.subarray(4);
    if (piece.length >= total) throw malformed("a message is longer than announced");
    if (total > this.#maxMessageBytes) return "too-large";
    this.#assembly = {
      total,
      compressed: (flags & COMPRESSED) !== 0,
      pieces: [keep(piece, recordBytes)],
      received: piece.length,
      cost,
    };
    return cost;
  }

  #continue(
    assembly: Assembly,
    flags: number,
    body: Uint8Array,
    recordBytes: number,
    cost: number,
  ): void {
    const last = (flags & MORE) === 0;
    if ((flags & COMPRESSED) !== 0) throw malformed("a later piece is flagged as compressed");
    if (body.length === 0) throw malformed("a piece of a message is empty");
    assembly.received += body.length;
    if (last ? assembly.received !== assembly.total : assembly.received >= assembly.total) {
      throw malformed("a message is not as long as announced");
    }
    assembly.pieces.push(keep(body, recordBytes));
    assembly.cost += cost;
    if (!last) return;
    this.#assembly = undefined;
    this.#push(this.#join(assembly, body), assembly.compressed, assembly.cost);
  }

  /** `body` is of the record in hand, of which other frames may still have to be visited. */
  #join({ pieces, total }: Assembly, body: Uint8Array): Uint8Array {
    const bytes = this.#memory.allocate(total);
    let at = 0;
    for (const piece of pieces) {
      bytes.set(piece, at);
      at += piece.length;
      if (piece.buffer !== body.buffer) this.#memory.release(piece);
    }
    return bytes;
  }

  #push(bytes: Uint8Array, compressed: boolean, cost: number): void {
    this.#messages.push({ bytes, compressed, cost });
    this.#deliver();
  }

  /** A read inside onMessage is served by the loop that called it. */
  #deliver(): void {
    if (this.#delivering) return;
    this.#delivering = true;
    while (this.#wanted) {
      const message = this.#messages.shift();
      if (message === undefined) break;
      this.#wanted = false;
      this.#credit.consume(message.cost);
      this.#events.onMessage(message.bytes, message.compressed);
    }
    this.#delivering = false;
    if (this.#ended && !this.#drained && this.#messages.length === 0) {
      this.#drained = true;
      this.#events.onDrained();
    }
  }
}

/** What is left of a message costs, or the start of one that nothing came of yet. */
function costOf(assembly: Assembly | undefined): number {
  if (assembly === undefined) return MESSAGE_COST + START_BYTES;
  const rest = assembly.total - assembly.received;
  return rest + MESSAGE_COST * (1 + Math.ceil(rest / PIECE_BYTES));
}

/**
 * A small piece is copied: a view would keep its whole record in memory. So what is kept as a view is
 * the only view of its record, once its frames have been visited.
 */
function keep(piece: Uint8Array, recordBytes: number): Uint8Array {
  return 2 * piece.length >= recordBytes ? piece : piece.slice();
}
