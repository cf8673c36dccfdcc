import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, it } from "node:test";
import { Measurer, measureSigner } from "../../image/measurement.ts";
import { commandLine, firstRamdisk, kernel, secondRamdisk } from "../support/raw-image.ts";

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");

function measure(ramdisks: readonly Uint8Array[], signer?: Uint8Array) {
  const measurer = new Measurer();
  measurer.add("kernel", 0, kernel.data);
  measurer.add("command-line", 0, commandLine.data);
  ramdisks.forEach((data, i) => measurer.add("ramdisk", i, data));
  return measurer.finish(signer);
}

describe("measurement", () => {
  it("agrees with two independent programs", () => {
    const { pcr0, pcr1, pcr2 } = measure([firstRamdisk.data, secondRamdisk.data]);
    assert.equal(
      hex(pcr0),
      "e211f7111c39d74058fefbabf2f729e1753e8c5d87735342668fb20d1caef4a06a0f84db6193b36d8ce08468e2efb6c8",
    );
    assert.equal(
      hex(pcr1),
      "9cf86cfb81b33b531c9d04b3341e276aef4cf3195d8f39b0851a019f80e30817a74254a323e1b73a3c4ca071440463d0",
    );
    assert.equal(
      hex(pcr2),
      "d05127bccdb77e7af48667f79c20028ad5411d0f73a543db3d0102c6ef151c9485ec32ec7046c71b7c6a2ef2cb1a0849",
    );
  });

  it("measures one ramdisk as an empty PCR2 and equal PCR0 and PCR1", () => {
    const { pcr0, pcr1, pcr2 } = measure([firstRamdisk.data]);
    assert.deepEqual(pcr0, pcr1);
    assert.equal(
      hex(pcr2),
      "21b9efbc184807662e966d34f390821309eeac6802309798826296bf3e8bec7c10edb30948c90ba67310f7b964fc500a",
    );
  });

  it("counts every ramdisk behind the first in PCR2", () => {
    const three = measure([firstRamdisk.data, Uint8Array.of(1), Uint8Array.of(2)]);
    assert.deepEqual(three.pcr2, measure([firstRamdisk.data, Uint8Array.of(1, 2)]).pcr2);
  });

  it("does not depend on the pieces in which data comes", () => {
    const whole = measure([firstRamdisk.data]);
    const measurer = new Measurer();
    for (const byte of kernel.data) measurer.add("kernel", 0, Uint8Array.of(byte));
    measurer.add("command-line", 0, commandLine.data);
    measurer.add("ramdisk", 0, firstRamdisk.data.subarray(0, 5));
    measurer.add("ramdisk", 0, firstRamdisk.data.subarray(5));
    assert.deepEqual(measurer.finish(), whole);
  });

  it("measures the signer into PCR8, and has none without one", () => {
    const certificate = Uint8Array.of(0x30, 0x00);
    const digest = createHash("sha384").update(certificate).digest();
    const expected = createHash("sha384").update(Buffer.alloc(48)).update(digest).digest("hex");
    assert.equal(hex(measureSigner(certificate)), expected);
    assert.equal(hex(measure([firstRamdisk.data], certificate).pcr8!), expected);
    assert.ok(!("pcr8" in measure([firstRamdisk.data])));
  });
});
