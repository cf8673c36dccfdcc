import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { InvalidArgumentError } from "commander";
import { cids, duration } from "../../cli/arguments.ts";

describe("a duration on the command line", () => {
  it("has a unit, or is milliseconds", () => {
    const cases = {
      "500ms": 500,
      "5s": 5000,
      "2m": 120_000,
      "1h": 3_600_000,
      "1.1s": 1100,
      250: 250,
    };
    for (const [text, durationMs] of Object.entries(cases)) {
      assert.equal(duration(text), durationMs, text);
    }
  });

  it("is refused, with an example, when it cannot be meant", () => {
    const texts = [
      "",
      "0",
      "0s",
      "0.4ms",
      "-1s",
      "5 s",
      "5S",
      "5d",
      "s",
      "1e3",
      "1,5s",
      ".5s",
      "soon",
    ];
    for (const text of [...texts, "9".repeat(20)]) {
      assert.throws(
        () => duration(text),
        (error) => {
          assert.ok(error instanceof InvalidArgumentError, text);
          assert.match(error.message, /500ms, 5s/);
          return true;
        },
      );
    }
  });
});

describe("CIDs on the command line", () => {
  it("add up", () => {
    assert.deepEqual(cids("4294967294", cids("3")), [3, 4_294_967_294]);
  });

  it("are refused when they are none, or stand for all", () => {
    for (const text of ["", "-1", "03", "0x3", "3.5", "any", "4294967295"]) {
      assert.throws(() => cids(text), InvalidArgumentError, text);
    }
  });
});
