import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { Simulator } from "../../attestation/nsm/simulator.ts";
import { EnclaveClock } from "../../services/enclave/enclave-clock.ts";

describe("the enclave's clock", () => {
  it("has no time before its module gave one", () => {
    assert.throws(() => new EnclaveClock().now());
  });

  it("goes on from the module's time, whatever the system's clock says", async (t) => {
    const simulator = await Simulator.create({ now: () => 1_800_000_000_000 });
    const clock = new EnclaveClock();
    const evidence = await simulator.attest({});
    const monotonic = t.mock.method(performance, "now", () => 5_000);
    clock.set(evidence, 4_000);
    assert.equal(clock.now(), 1_800_000_001_000);
    monotonic.mock.mockImplementation(() => 65_000);
    assert.equal(clock.now(), 1_800_000_061_000);
  });
});
