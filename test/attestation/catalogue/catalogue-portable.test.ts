import { describe, it } from "node:test";
import { portableBackend } from "../../../crypto/portable.ts";
import { judge } from "./attack.ts";
import { genuine, made } from "./groups.ts";

describe("the attack catalogue, with noble", () => {
  for (const attack of [...Object.values(made).flat(), ...genuine]) {
    it(`${attack.name}: ${attack.verdict}`, () => judge(attack, portableBackend));
  }
});
