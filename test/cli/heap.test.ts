import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { describe, it } from "node:test";
import { promisify } from "node:util";

const HEAP = new URL("../../cli/heap.js", import.meta.url).href;

describe("the heap of a command that carries messages", () => {
  // V8 says so on standard error, and does nothing else, when a version no longer has a flag.
  it("is set by a flag that this Node has", async () => {
    const program = `import(${JSON.stringify(HEAP)}).then(({ letHeapGrow }) => letHeapGrow())`;
    const { stdout, stderr } = await promisify(execFile)(process.execPath, ["--eval", program]);
    assert.deepEqual([stdout, stderr], ["", ""]);
  });
});
