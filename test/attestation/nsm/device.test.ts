import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { openNsmDevice } from "../../../attestation/nsm/device.ts";

const folder = mkdtempSync(join(tmpdir(), "nsm-device-"));
/** A file that can be opened like the device, and whose ioctl the kernel refuses. */
const file = join(folder, "nsm");
writeFileSync(file, "");

const index = new URL("../../../attestation/nsm/index.js", import.meta.url).href;

/** Runs statements in a process of their own, with the public subpath as `nsm`. */
function run(statements: string) {
  const program = `import * as nsm from ${JSON.stringify(index)};\n${statements}`;
  return spawnSync(process.execPath, ["--input-type=module", "-e", program], {
    encoding: "utf8",
    timeout: 20_000,
  });
}

function descriptorsOf(path: string): number {
  return readdirSync("/proc/self/fd").filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`) === path;
    } catch {
      return false;
    }
  }).length;
}

describe("the NSM device", () => {
  after(() => rmSync(folder, { recursive: true }));

  it("says what to do where there is none", async () => {
    await assert.rejects(openNsmDevice({ path: join(folder, "absent") }), (error: Error) => {
      assert.equal((error as { code?: string }).code, "nsm-unavailable");
      assert.match(error.message, /expected the device .*absent, received "ENOENT/);
      assert.match(error.message, /Not inside a Nitro Enclave\? The simulator .* by name/);
      return true;
    });
  });

  it("names the kernel's refusal of a file that is no module, call after call", async () => {
    const nsm = await openNsmDevice({ path: file });
    for (const ask of [nsm.attest({}), nsm.describe(), nsm.random(), nsm.pcr(0)]) {
      await assert.rejects(ask, {
        code: "nsm-unavailable",
        message: /refused the request: ENOTTY/,
      });
    }
    await nsm.close();
  });

  it("refuses what waits beyond its limit", async () => {
    const nsm = await openNsmDevice({ path: file, maxWaiting: 2 });
    const asked = [nsm.random(), nsm.random(), nsm.random()];
    const messages = await Promise.all(
      asked.map((ask) => ask.catch((error: Error) => error.message)),
    );
    assert.match(String(messages[0]), /ENOTTY/);
    assert.match(String(messages[1]), /ENOTTY/);
    assert.match(String(messages[2]), /too many requests wait for the NSM: at most 2/);
    await assert.rejects(nsm.random(), { message: /ENOTTY/ });
    await nsm.close();
  });

  it("refuses after close, also what waited, and gives the descriptor back", async () => {
    const nsm = await openNsmDevice({ path: file });
    assert.equal(descriptorsOf(file), 1);
    const waiting = nsm.attest({});
    const closed = nsm.close();
    await assert.rejects(waiting, { code: "nsm-unavailable", message: /is closed/ });
    await closed;
    await assert.rejects(nsm.attest({}), { code: "nsm-unavailable", message: /is closed/ });
    assert.equal(descriptorsOf(file), 0);
    await nsm.close();
  });

  it("refuses a request that no driver takes", async () => {
    const nsm = await openNsmDevice({ path: file });
    await assert.rejects(nsm.attest({ userData: new Uint8Array(4096) }), RangeError);
    await nsm.close();
  });

  it("lets a process end that has it open, after its answers came", () => {
    const { status, stdout, stderr } = run(`
      const device = await nsm.openNsmDevice({ path: ${JSON.stringify(file)} });
      device.random().catch((error) => console.log(error.code));`);
    assert.deepEqual([status, stdout, stderr], [0, "nsm-unavailable\n", ""]);
  });

  it("loads the native library only for a device that is there", () => {
    const { stdout } = run(`
      const loaded = () =>
        process.report.getReport().sharedObjects.some((path) => path.includes("koffi"));
      await nsm.openNsmDevice({ path: ${JSON.stringify(join(folder, "absent"))} }).catch(() => {});
      const before = loaded();
      await nsm.openNsmDevice({ path: ${JSON.stringify(file)} });
      console.log(before, loaded());`);
    assert.equal(stdout, "false true\n");
  });
});
