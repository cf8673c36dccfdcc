/** Two calls as the records that carry them (docs/protocol.md §7, §8): the source of call-records.json. */
import type { CryptoBackend } from "../../crypto/backend.ts";
import { nodeBackend } from "../../crypto/node.ts";
import { Opener } from "../../channel/record.ts";
import { toHex } from "../support/hex.ts";
import { createPair, OK, openCall, type Pair } from "../support/session-pair.ts";

interface RecordVector {
  readonly from: "client" | "enclave";
  /** The counter of the nonce is the record's place in its direction. */
  readonly record: string;
  readonly type: string;
  readonly frames: string;
}

export interface CallRecords {
  readonly description: string;
  readonly spec: string;
  readonly cases: readonly {
    readonly name: string;
    readonly expect: "ok";
    readonly suite: 1;
    /** ts[0] of each direction. */
    readonly clientSecret: string;
    readonly enclaveSecret: string;
    readonly records: readonly RecordVector[];
  }[];
}

const text = (value: string): Uint8Array => new TextEncoder().encode(value);

/** The content of call-records.json. */
export function callRecords(backend: CryptoBackend = nodeBackend): CallRecords {
  return {
    description:
      "A unary and a bidirectional call, each on a session of its own, and the orderly end. " +
      "Padding is none; the session's clock stands at 0.",
    spec: "§7, §8",
    cases: [unary(backend), bidirectional(backend)],
  };
}

function unary(backend: CryptoBackend): CallRecords["cases"][number] {
  const pair = createPair({ backend, padding: "none" });
  const tape = new Tape(pair, backend);
  openCall(pair, [text("question")], { method: "/example.Service/Ask", deadlineMs: 1500 });
  tape.carry();
  const [served] = pair.served;
  served?.call.start(true, 0);
  served?.call.sendHeaders({ metadata: [{ key: "k", value: text("v") }], encoding: "" });
  served?.call.sendMessage(text("answer"));
  served?.call.end(OK);
  tape.carry();
  pair.client.session.close(0, 0);
  tape.carry();
  return tape.vector("unary");
}

function bidirectional(backend: CryptoBackend): CallRecords["cases"][number] {
  const pair = createPair({ backend, padding: "none" });
  const tape = new Tape(pair, backend);
  const { call } = openCall(pair, [], { method: "/example.Service/Chat", halfClose: false });
  tape.carry();
  const [served] = pair.served;
  served?.call.start(false, 0);
  for (const word of ["one", "two"]) {
    call.sendMessage(text(word));
    tape.carry();
    served?.call.sendMessage(text(word.toUpperCase()));
    tape.carry();
  }
  call.halfClose();
  tape.carry();
  const detail = { key: "detail-bin", value: Uint8Array.of(0, 255) };
  served?.call.end({ code: 9, message: "no more", trailers: [detail] });
  tape.carry();
  return tape.vector("bidirectional, with an error and trailers");
}

/** Carries records between the two ends and writes them down. */
class Tape {
  readonly #pair: Pair;
  readonly #records: RecordVector[] = [];
  readonly #openers: Record<"client" | "enclave", Opener>;

  constructor(pair: Pair, backend: CryptoBackend) {
    this.#pair = pair;
    const opener = (fill: number): Opener =>
      new Opener({ backend, suite: 1, secret: new Uint8Array(32).fill(fill), nowMs: 0 });
    this.#openers = { client: opener(1), enclave: opener(2) };
  }

  carry(): void {
    for (let moved = true; moved;) {
      moved = false;
      for (const [from, to] of [
        ["client", "enclave"],
        ["enclave", "client"],
      ] as const) {
        for (const record of this.#pair.take(from)) {
          moved = true;
          const { type, content } = this.#openers[from].open(record, 0);
          this.#records.push({ from, record: toHex(record), type, frames: toHex(content) });
          this.#pair.deliver(to, [record]);
        }
      }
    }
  }

  vector(name: string): CallRecords["cases"][number] {
    return {
      name,
      expect: "ok",
      suite: 1,
      clientSecret: toHex(new Uint8Array(32).fill(1)),
      enclaveSecret: toHex(new Uint8Array(32).fill(2)),
      records: this.#records,
    };
  }
}
