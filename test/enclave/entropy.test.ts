import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";

import { Nsm } from "../../attestation/nsm/nsm.ts";
import { requireModuleEntropy } from "../../services/enclave/entropy.ts";
import { EvidenceSource } from "../../services/enclave/evidence-source.ts";

describe("the source of an enclave's randomness", () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "entropy-"));
  });
  after(() => rm(folder, { recursive: true }));

  const source = async (text: string): Promise<string> => {
    const path = join(folder, "rng_current");
    await writeFile(path, text);
    return path;
  };

  it("may be the module", async () => {
    await requireModuleEntropy(await source("nsm-hwrng\n"));
  });

  it("may be nothing else", async () => {
    for (const text of ["virtio_rng.0\n", "none\n", "", "nsm-hwrng2"]) {
      await assert.rejects(requireModuleEntropy(await source(text)), /expected nsm-hwrng/);
    }
  });

  it("must be known", async () => {
    await assert.rejects(requireModuleEntropy(join(folder, "absent")), /cannot be read/);
  });

  it("is looked at before a device attests, one that was opened elsewhere too", async () => {
    // This machine is no enclave, so the check fails before anything is asked.
    const asked = (): never => assert.fail("asked");
    const device = new Nsm({ exchange: asked, close: asked });
    await assert.rejects(EvidenceSource.open(device), /rng_current|expected nsm-hwrng/);
    await assert.rejects(EvidenceSource.open(), /rng_current|expected nsm-hwrng/);
  });
});
