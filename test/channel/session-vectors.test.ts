import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { nodeBackend } from "../../crypto/node.ts";
import { portableBackend } from "../../crypto/portable.ts";
import { readVectors } from "../support/vectors.ts";
import { callRecords } from "../vectors/call-records.ts";
import { frameRules } from "../vectors/frame-rules.ts";

describe("the vectors of sessions", () => {
  for (const backend of [nodeBackend, portableBackend]) {
    it(`are what sessions send, with the ${backend.name} backend`, () => {
      assert.deepEqual(callRecords(backend), readVectors("call-records.json"));
    });
  }

  it("hold every rule of frames", () => {
    assert.deepEqual(JSON.parse(JSON.stringify(frameRules())), readVectors("frame-rules.json"));
  });
});
