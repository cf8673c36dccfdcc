import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ByteBudget } from "../../services/http2/byte-budget.ts";

describe("ByteBudget", () => {
  it("counts up to its limit, and nothing beyond", () => {
    const budget = new ByteBudget(100);
    assert.equal(budget.hold(60), true);
    assert.equal(budget.hold(41), false);
    assert.equal(budget.hold(40), true);
    budget.release(100);
    assert.equal(budget.heldBytes, 0);
  });

  it("is tight above half, and calls who waits once it is not", () => {
    const budget = new ByteBudget(100);
    budget.hold(51);
    assert.equal(budget.isTight, true);
    let calls = 0;
    budget.wait(() => (calls += 1));
    budget.hold(20);
    budget.release(20);
    assert.equal(calls, 0);
    budget.release(1);
    assert.equal(calls, 1);
    budget.hold(10);
    budget.release(10);
    assert.equal(calls, 1);
  });

  it("calls as many as there is room for, in order", () => {
    const budget = new ByteBudget(100);
    budget.hold(60);
    const called: number[] = [];
    for (const number of [1, 2, 3]) {
      budget.wait(() => {
        called.push(number);
        budget.hold(30);
      });
    }
    budget.release(40);
    assert.deepEqual(called, [1, 2]);
    budget.release(80);
    assert.deepEqual(called, [1, 2, 3]);
  });

  it("forgets who waits no more", () => {
    const budget = new ByteBudget(100);
    budget.hold(100);
    const waiting = (): void => assert.fail("called");
    budget.wait(waiting);
    budget.forget(waiting);
    budget.release(100);
  });
});
