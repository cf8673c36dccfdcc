import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { countBulk } from "../../channel/call-table.ts";

const call = (movedBytes: number): Parameters<typeof countBulk>[0] => [
  { deadlineMs: Infinity, heldBytes: 0, movedBytes, expire: () => {}, shed: () => {} },
];
const bulk = call(1_000_000);

describe("calls that share a session", () => {
  it("are counted while each of them moves much", () => {
    assert.equal(countBulk([...bulk, ...bulk, ...bulk]), 3);
  });

  it("are too many to count with a small one among them, or beyond eight", () => {
    assert.equal(countBulk([...bulk, ...call(100), ...bulk]), Infinity);
    assert.equal(countBulk(Array.from({ length: 8 }, () => [...bulk]).flat()), 8);
    assert.equal(countBulk(Array.from({ length: 9 }, () => [...bulk]).flat()), Infinity);
  });
});
