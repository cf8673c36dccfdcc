import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { decodeStatusText, encodeStatusText } from "../../services/http2/status-text.ts";

const RUNS = { numRuns: Number(process.env["FUZZ_RUNS"] ?? 100) };

describe("grpc-message", () => {
  it("is printable ASCII on the wire, and the same text behind it", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), (text) => {
        const encoded = encodeStatusText(text);
        assert.match(encoded, /^[ -~]*$/);
        assert.equal(decodeStatusText(encoded), text);
      }),
      RUNS,
    );
  });

  it("carries percent signs and what looks like an encoding", () => {
    const text = "100 % of %41 and %zz\tü\n😀";
    assert.equal(decodeStatusText(encodeStatusText(text)), text);
  });

  it("replaces surrogates that stand alone, and no pair", () => {
    assert.equal(decodeStatusText(encodeStatusText("a\ud800b\udc00c😀")), "a\ufffdb\ufffdc😀");
  });

  it("stays as it is where it does not decode", () => {
    for (const text of ["100 %", "%zz", "%ff", "%c3"]) assert.equal(decodeStatusText(text), text);
  });
});
