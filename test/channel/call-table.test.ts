import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { countBulk, type TimedCall } from "../../channel/call-table.ts";
import { NumberTable } from "../../channel/number-table.ts";

const MUCH = 1_000_000;

describe("calls that share a session", () => {
  it("are counted while each of them moves much", () => {
    assert.equal(countBulk(moving(MUCH, MUCH, MUCH)), 3);
  });

  it("are too many to count with a small one among them, or beyond eight", () => {
    assert.equal(countBulk(moving(MUCH, 100, MUCH)), Infinity);
    assert.equal(countBulk(moving(...Array.from({ length: 8 }, () => MUCH))), 8);
    assert.equal(countBulk(moving(...Array.from({ length: 9 }, () => MUCH))), Infinity);
  });
});

function moving(...bytes: number[]): NumberTable<TimedCall> {
  const calls = new NumberTable<TimedCall>();
  for (const [number, movedBytes] of bytes.entries()) {
    calls.add(number, {
      deadlineMs: Infinity,
      heldBytes: 0,
      movedBytes,
      expire: () => {},
      shed: () => {},
    });
  }
  return calls;
}
