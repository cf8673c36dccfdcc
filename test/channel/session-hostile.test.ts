import assert from "node:assert/strict";
import fc from "fast-check";
import { describe, it } from "node:test";
import type { CallEnd } from "../../channel/call-events.ts";
import type { EnclaveCall } from "../../channel/enclave-call.ts";
import { createPair, OK, openCall, type Pair, type SeenCall } from "../support/session-pair.ts";

/**
 * A conversation between two honest ends whose records a hostile host carries: 6 calls of all
 * shapes, a GOAWAY on the way. The ledger counts which calls ran.
 */
class Conversation {
  readonly ledger = new Map<string, number>();
  readonly calls: SeenCall[] = [];
  readonly pair: Pair;
  #step = 0;

  constructor() {
    this.pair = createPair({
      terms: { initialCredit: 20_000 },
      clientCredit: 20_000,
      onCall: (call, { method }) => {
        const waits = method !== "/chat";
        if (!waits) this.#run(call, method);
        call.read();
        return {
          onMessage: (message) => {
            if (!waits) call.sendMessage(message);
            call.read();
          },
          onHalfClose: () => {
            if (waits) this.#run(call, method);
            if (call.isOver) return;
            if (waits) call.sendMessage(new Uint8Array(30_000).fill(call.id));
            call.end(OK);
            call.release();
          },
          onCancel: () => call.release(),
        };
      },
    });
  }

  #run(call: EnclaveCall, method: string): void {
    if (!call.start(method !== "/chat", this.pair.nowMs)) return;
    const key = `${method}#${call.id}`;
    this.ledger.set(key, (this.ledger.get(key) ?? 0) + 1);
  }

  /** What the application does next; false when it has nothing more to do. */
  act(): boolean {
    const step = this.#step++;
    const { client, enclave } = this.pair;
    if (step < 8 && client.session.canOpen(0)) {
      const method = ["/unary", "/chat", "/upload"][step % 3] ?? "";
      const size = method === "/upload" ? 70_000 : 100;
      this.calls.push(openCall(this.pair, [new Uint8Array(size), new Uint8Array(10)], { method }));
    }
    if (step === 6) enclave.session.goAway(0, 1_000_000);
    return step < 9;
  }

  /** Everything that must hold whatever the host did. */
  check(): void {
    this.pair.client.session.receiveStreamEnd(0);
    this.pair.enclave.session.receiveStreamEnd(0);
    for (const [key, times] of this.ledger) assert.equal(times, 1, `${key} ran ${times} times`);
    for (const seen of this.calls) {
      assert.ok(seen.end !== undefined, "a call never ended");
      const ran = [...this.ledger.keys()].some((key) => key.endsWith(`#${seen.call.id}`));
      this.#checkEnd(seen, seen.end, ran);
    }
  }

  #checkEnd(seen: SeenCall, end: CallEnd, ran: boolean): void {
    if (end.kind === "status" && end.status.code === 0) {
      assert.ok(ran, "OK of a call that never ran");
      assert.ok(seen.messages.length > 0);
    }
    if (end.kind === "refused" || end.kind === "goaway" || end.kind === "unsealed") {
      assert.ok(!ran, `${end.kind} of a call that ran`);
    }
  }
}

/** Plays a conversation; `host` sees each record before it is delivered, and decides what is. */
function play(
  host: (to: "client" | "enclave", record: Uint8Array, index: number) => readonly Uint8Array[],
): Conversation {
  const conversation = new Conversation();
  const { pair } = conversation;
  let index = 0;
  for (let busy = true; busy;) {
    busy = conversation.act();
    for (const [from, to] of [
      ["client", "enclave"],
      ["enclave", "client"],
    ] as const) {
      for (const record of pair.take(from)) {
        busy = true;
        pair.deliver(to, host(to, record, index++));
      }
    }
    assert.ok(index < 10_000, "the conversation does not end");
  }
  return conversation;
}

function count(): number {
  let total = 0;
  play((_to, record) => {
    total += 1;
    return [record];
  });
  return total;
}

const total = count();

describe("a hostile host, exhaustively over every record of a conversation", () => {
  it("an honest one lets every call end as it should", () => {
    const conversation = play((_to, record) => [record]);
    const kinds = conversation.calls.map(({ end }) => end?.kind);
    assert.ok(total > 12, String(total));
    assert.equal(kinds.filter((kind) => kind === "status").length, conversation.ledger.size);
    assert.deepEqual(conversation.pair.client.closed, { error: undefined });
    assert.deepEqual(conversation.pair.enclave.closed, { error: undefined });
    conversation.check();
  });

  const attacks: Record<
    string,
    {
      attack: (record: Uint8Array) => readonly Uint8Array[];
      expect: readonly (string | undefined)[];
    }
  > = {
    drops: { attack: () => [], expect: ["authentication-failed", "truncated"] },
    // Behind a direction's `end` nothing can come.
    repeats: {
      attack: (record) => [record, record],
      expect: ["authentication-failed", "malformed-record"],
    },
    truncates: {
      attack: (record) => [record.subarray(0, record.length - 1)],
      expect: ["authentication-failed"],
    },
    empties: { attack: () => [new Uint8Array(0)], expect: ["authentication-failed"] },
    extends: {
      attack: (record) => [Uint8Array.from([...record, 0])],
      expect: ["authentication-failed"],
    },
    flips: {
      attack: (record) => [record.map((byte, i) => (i === record.length >> 1 ? byte ^ 1 : byte))],
      expect: ["authentication-failed"],
    },
  };
  for (const [name, { attack, expect }] of Object.entries(attacks)) {
    it(`${name} each record in turn`, () => {
      for (let victim = 0; victim < total; victim++) {
        let victimEnd: "client" | "enclave" = "client";
        const conversation = play((to, record, index) => {
          if (index !== victim) return [record];
          victimEnd = to;
          return attack(record);
        });
        conversation.check();
        const closed = conversation.pair[victimEnd].closed;
        // The last record of a direction is `end`; behind it the session is already over.
        if (closed?.error !== undefined) assert.ok(expect.includes(closed.error.code));
      }
    });
  }

  it("cuts both ways, or one way, after each record", () => {
    for (const cut of ["client", "enclave", "both"] as const) {
      for (let victim = 0; victim <= total; victim++) {
        play((to, record, index) =>
          index >= victim && (cut === "both" || cut === to) ? [] : [record],
        ).check();
      }
    }
  });

  it("swaps each record with the next of its direction", () => {
    for (let victim = 0; victim < total; victim++) {
      let held: { to: string; record: Uint8Array } | undefined;
      play((to, record, index) => {
        if (index === victim) {
          held = { to, record };
          return [];
        }
        if (held?.to !== to) return [record];
        const { record: earlier } = held;
        held = undefined;
        return [record, earlier];
      }).check();
    }
  });

  it("reflects a record to its sender", () => {
    const conversation = new Conversation();
    conversation.act();
    const [record] = conversation.pair.take("client");
    assert.ok(record);
    conversation.pair.deliver("client", [record]);
    assert.equal(conversation.pair.client.closed?.error?.code, "authentication-failed");
    conversation.check();
  });

  it("splices records of one session into another", () => {
    for (const to of ["client", "enclave"] as const) {
      const [one, other] = [createPair({ seed: 0 }), createPair({ seed: 50 })];
      for (const pair of [one, other]) openCall(pair, [new Uint8Array(10)]);
      if (to === "client") {
        for (const pair of [one, other]) {
          pair.deliver("enclave", pair.take("client"));
          pair.served[0]?.call.start(true, 0);
          pair.served[0]?.call.end(OK);
        }
      }
      other.deliver(to, one.take(to === "client" ? "enclave" : "client"));
      assert.equal(other[to].closed?.error?.code, "authentication-failed");
      assert.equal(other.served.length, to === "client" ? 1 : 0);
    }
  });

  it("does any of it, at random", () => {
    const numRuns = Number(process.env["FUZZ_RUNS"] ?? 100);
    fc.assert(
      fc.property(fc.infiniteStream(fc.nat({ max: 60 })), (choices) => {
        const seen: Uint8Array[] = [];
        play((_to, record) => {
          seen.push(record);
          const choice = choices.next().value as number;
          if (choice === 0) return [];
          if (choice === 1) return [record, record];
          if (choice === 2) return [seen[seen.length >> 1] ?? record];
          if (choice === 3) return [record.map((byte, i) => (i === choice ? byte ^ 0x10 : byte))];
          return [record];
        }).check();
      }),
      { numRuns },
    );
  });
});
