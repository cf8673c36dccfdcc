import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { temporaryFolder } from "../support/folder.ts";
import { runProgram } from "../support/processes.ts";
import { Enclave } from "./enclave.ts";
import { buildImage, type Image } from "./image.ts";
import { bootPrograms, skip } from "./programs.ts";

describe("the notary in an enclave that boots", { skip }, () => {
  const folder = temporaryFolder("boot");
  let image: Image;
  let enclave: Enclave;

  before(async () => {
    const programs = bootPrograms();
    image = await buildImage(join(folder.path, "notary"), programs, {
      script: "examples/notary/enclave.js",
      args: ["--listen", "vsock:any:5000"],
    });
    enclave = await Enclave.start({ folder: join(folder.path, "first"), image, cid: 16, programs });
    await enclave.ready();
  });

  after(async () => {
    await enclave?.close();
  });

  it("sends the heartbeat, and gets it back", () => {
    assert.doesNotMatch(enclave.console, /heartbeat/);
  });

  it("proves to be the image that was built: PCR0, PCR1, PCR2", async () => {
    const policy = folder.write("policy.json", JSON.stringify(enclave.policy));
    const command = ["attest", enclave.target, "--policy", policy, "--json"];
    const { status, stdout, stderr } = await runProgram("cli/main.js", ...command);
    assert.equal(status, 0, stderr);
    const { pcrs } = JSON.parse(stdout) as { pcrs: Readonly<Record<string, string>> };
    const { pcr0, pcr1, pcr2 } = image.measurements;
    assert.deepEqual([pcrs["0"], pcrs["1"], pcrs["2"]], [pcr0, pcr1, pcr2]);
  });
});
