import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { describe, it } from "node:test";

const index = new URL("../../../attestation/nsm/index.js", import.meta.url).href;

describe("the subpath sealrpc/nsm", () => {
  it("loads the libraries of a device or a simulator only when one is made", () => {
    const program = `
      import { createRequire } from "node:module";
      import { guardedAttester, Simulator } from ${JSON.stringify(index)};
      const loaded = (name) =>
        Object.keys(createRequire(import.meta.url).cache).some((path) => path.includes(name)) ||
        process.report.getReport().sharedObjects.some((path) => path.includes(name));
      const before = [loaded("koffi"), loaded("asn1-x509")];
      guardedAttester(await Simulator.create());
      console.log(JSON.stringify([before, [loaded("koffi"), loaded("asn1-x509")]]));`;
    const { stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", program], {
      encoding: "utf8",
    });
    assert.equal(stdout, "[[false,false],[false,true]]\n", stderr);
  });
});
