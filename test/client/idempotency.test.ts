import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { NotaryService } from "#gen/notary/v1/notary_pb.js";
import { idempotentMethods } from "../../services/client/idempotency.ts";
import { serviceDefinition } from "../../services/grpc/service-definition.ts";

const path = "/a.B/C";

describe("the idempotent methods of services", () => {
  for (const options of [
    { idempotencyLevel: "IDEMPOTENT" },
    { idempotencyLevel: "NO_SIDE_EFFECTS" },
    { idempotency_level: "IDEMPOTENT" },
    { idempotency_level: 1 },
    { idempotency_level: 2 },
  ]) {
    it(`are those with ${JSON.stringify(options)}`, () => {
      assert.deepEqual([...idempotentMethods([{ c: { path, options } }])], [path]);
    });
  }

  for (const options of [
    undefined,
    {},
    { idempotencyLevel: "IDEMPOTENCY_UNKNOWN" },
    { idempotency_level: 0 },
    { idempotency_level: true },
  ]) {
    it(`are not those with ${JSON.stringify(options)}`, () => {
      assert.deepEqual([...idempotentMethods([{ c: { path, options } }])], []);
    });
  }

  it("are the same of a descriptor and of its definition", () => {
    const methods = idempotentMethods([NotaryService]);
    assert.deepEqual(methods, idempotentMethods([serviceDefinition(NotaryService)]));
  });

  it("are not taken from what is no service", () => {
    assert.throws(() => idempotentMethods([{ c: {} as never }]), TypeError);
  });
});
