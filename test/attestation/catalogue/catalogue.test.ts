import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { nodeBackend } from "../../../crypto/node.ts";
import { judge } from "./attack.ts";
import { groups } from "./groups.ts";

describe("the attack catalogue, with node:crypto", () => {
  for (const [group, attacks] of Object.entries(groups)) {
    describe(group, () => {
      for (const attack of attacks) {
        it(`${attack.name}: ${attack.verdict}`, () => judge(attack, nodeBackend));
      }
    });
  }
});
void assert;
