import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { formatTimeout, parseTimeout } from "../../services/http2/timeout.ts";

const RUNS = { numRuns: Number(process.env["FUZZ_RUNS"] ?? 100) };

describe("grpc-timeout", () => {
  it("is read in every unit, rounded up to milliseconds", () => {
    const read = ["2H", "2M", "2S", "2m", "2000u", "2001u", "2000000n", "2000001n", "1n", "0n"];
    assert.deepEqual(read.map(parseTimeout), [7_200_000, 120_000, 2000, 2, 2, 3, 2, 3, 1, 0]);
    assert.equal(parseTimeout("99999999H"), 99_999_999 * 3_600_000);
  });

  it("is nothing but up to eight digits and a unit", () => {
    for (const text of [
      "",
      "5",
      "m",
      "5 m",
      "-5m",
      "1.5S",
      "123456789m",
      "5s",
      "5mm",
      " 5m",
      "5m ",
    ]) {
      assert.equal(parseTimeout(text), undefined, JSON.stringify(text));
    }
  });

  it("is written in the finest unit that eight digits allow", () => {
    const written = [0, 0.2, 1, 99_999_999, 100_000_000, 1e12, 1e15, 1e300];
    assert.deepEqual(written.map(formatTimeout), [
      "0m",
      "1m",
      "1m",
      "99999999m",
      "100000S",
      "16666667M",
      "99999999H",
      "99999999H",
    ]);
  });

  it("is never written shorter than it is", () => {
    const timeouts = fc.double({ min: 0, max: 1e14, noNaN: true });
    fc.assert(
      fc.property(timeouts, (timeoutMs) => {
        const read = parseTimeout(formatTimeout(timeoutMs)) ?? -1;
        assert.ok(read >= timeoutMs && read <= timeoutMs * 1.001 + 1, `${read}`);
      }),
      RUNS,
    );
  });
});
