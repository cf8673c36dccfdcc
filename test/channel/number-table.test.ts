import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { getHeapStatistics, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import fc from "fast-check";
import { NumberTable } from "../../channel/number-table.ts";

describe("a table by number", () => {
  it("keeps what a Map keeps", () => {
    const number = fc.oneof(fc.nat(40), fc.integer({ min: 0, max: 0xffff_ffff }));
    const step = fc.record({ number, isDeleted: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 400 }), (steps) => {
        const table = new NumberTable<string>();
        const model = new Map<number, string>();
        for (const { number, isDeleted } of steps) {
          if (isDeleted) assert.equal(table.delete(number), model.delete(number));
          else if (!model.has(number)) {
            table.add(number, `item ${number}`);
            model.set(number, `item ${number}`);
          }
          assert.equal(table.size, model.size);
          assert.equal(table.get(number), model.get(number));
        }
        const inOrder = [...model].toSorted(([one], [other]) => one - other);
        assert.deepEqual(
          table.values(),
          inOrder.map(([, item]) => item),
        );
      }),
    );
  });

  it("finds all after it grew, and after it was given back", () => {
    const table = new NumberTable<number>();
    for (const round of [0, 1]) {
      const first = round * 5000;
      for (let number = first; number < first + 5000; number += 1) table.add(number, number);
      for (let number = first; number < first + 5000; number += 1) {
        assert.equal(table.get(number), number);
        assert.equal(table.delete(number), true);
        assert.equal(table.get(number), undefined);
      }
      assert.equal(table.size, 0);
    }
  });

  it("lets go of what was removed without a full collection", () => {
    setFlagsFromString("--expose-gc");
    const gc = runInNewContext("gc") as NodeJS.GCFunction;
    const table = new NumberTable<object>();
    // Makes the table's arrays old, things in it included: where a Map begins to hold all that follows.
    for (let number = 0; number < 64; number += 1) table.add(number, thing());
    gc();
    const before = getHeapStatistics().used_heap_size;
    for (let number = 64; number < 4096; number += 1) {
      table.add(number, thing());
      table.delete(number - 64);
    }
    gc({ type: "minor" });
    gc({ type: "minor" });
    const grownBytes = getHeapStatistics().used_heap_size - before;
    // The 64 that are left are a sixteenth of a quarter; a Map keeps all.
    assert.ok(grownBytes < (4032 * THING_BYTES) / 4, `grew by ${grownBytes} bytes`);
  });
});

const THING_BYTES = 4096;

function thing(): object {
  return Array.from({ length: THING_BYTES / 8 }, (_, index) => index / 7);
}
