import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { JsonDocuments } from "../../../cli/call/json-documents.ts";

const RUNS = { numRuns: Number(process.env["FUZZ_RUNS"] ?? 100) };

function cut(pieces: readonly string[]): string[] {
  const documents = new JsonDocuments();
  return [...pieces.flatMap((piece) => documents.push(piece)), ...documents.end()];
}

describe("JSON documents in a row", () => {
  it("are found wherever the text is cut", () => {
    const values = fc.array(fc.oneof(fc.json(), fc.json({ maxDepth: 0 })));
    const spaces = fc.stringMatching(/^[ \n\t]{1,3}$/);
    fc.assert(
      fc.property(
        values,
        spaces,
        fc.infiniteStream(fc.integer({ min: 1, max: 9 })),
        (all, gap, sizes) => {
          const text = all.join(gap);
          const pieces: string[] = [];
          for (let at = 0; at < text.length;) {
            const size = Number(sizes.next().value);
            pieces.push(text.slice(at, at + size));
            at += size;
          }
          assert.deepEqual(cut(pieces), all);
        },
      ),
      RUNS,
    );
  });

  it("need no space after a bracket or a quote", () => {
    assert.deepEqual(cut(['{"a": "}"}[1]"x\\""{} 5"y"true{}']), [
      '{"a": "}"}',
      "[1]",
      '"x\\""',
      "{}",
      "5",
      '"y"',
      "true",
      "{}",
    ]);
  });

  it("come as soon as they are whole", () => {
    const documents = new JsonDocuments();
    assert.deepEqual(documents.push('{"a": 1'), []);
    assert.deepEqual(documents.push("}"), ['{"a": 1}']);
    assert.deepEqual(documents.push("12"), []);
    assert.deepEqual(documents.push("3 "), ["123"]);
    assert.deepEqual(documents.end(), []);
  });

  it("show at the end what was cut off or is no JSON", () => {
    assert.deepEqual(cut(['{"a": ']), ['{"a": ']);
    assert.deepEqual(cut(["{} }"]), ["{}", "}"]);
    assert.deepEqual(cut([" \n"]), []);
  });
});
