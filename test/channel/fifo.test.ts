import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { Fifo } from "../../channel/fifo.ts";

const numRuns = Number(process.env.FUZZ_RUNS ?? 100);

describe("a queue", () => {
  it("gives what was put in, in this order, whenever it is asked", () => {
    const steps = fc.array(fc.option(fc.integer()), { maxLength: 200 });
    fc.assert(
      fc.property(steps, (all) => {
        const queue = new Fifo<number>();
        const model: number[] = [];
        for (const step of all) {
          if (step === null) assert.equal(queue.shift(), model.shift());
          else {
            queue.push(step);
            model.push(step);
          }
          assert.equal(queue.length, model.length);
        }
      }),
      { numRuns },
    );
  });
});
