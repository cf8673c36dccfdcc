import assert from "node:assert/strict";
import { Worker } from "node:worker_threads";
import { describe, it } from "node:test";
import { DeviceLink } from "../../../attestation/nsm/device-link.ts";

/** A thread in the place of the one that owns the device; it runs `receive` for each request. */
function link(receive: string, first = '{ kind: "opened" }'): DeviceLink {
  const program = `
    const { parentPort } = require("node:worker_threads");
    const answer = (id, result) => parentPort.postMessage({ kind: "answer", id, result });
    parentPort.on("message", ({ id, request }) => { ${receive} });
    parentPort.postMessage(${first});`;
  return new DeviceLink(new Worker(program, { eval: true }), "/dev/nsm", 8);
}

const unavailable = (message: RegExp) => ({
  name: "AttestationError",
  code: "nsm-unavailable",
  message,
});

describe("the link to the device's thread", () => {
  it("gives each request its own response", async () => {
    const device = link("answer(id, { response: request.map((byte) => byte + 1) });");
    await device.opened;
    const asked = [1, 2, 3].map((byte) => device.exchange(Uint8Array.of(byte)));
    const responses = await Promise.all(asked);
    assert.deepEqual(
      responses.map((response) => [...response]),
      [[2], [3], [4]],
    );
    await device.close();
  });

  it("tells a refused request from one that was answered", async () => {
    const device = link(
      "answer(id, request[0] === 1 ? { errno: 110 } : { response: Uint8Array.of(7) });",
    );
    await device.opened;
    await assert.rejects(device.exchange(Uint8Array.of(1)), unavailable(/refused.*ETIMEDOUT/));
    assert.deepEqual([...(await device.exchange(Uint8Array.of(2)))], [7]);
    await device.close();
  });

  it("refuses what waits when the thread fails, with the cause", async () => {
    const device = link('if (request[0] === 2) throw new Error("broken");');
    await device.opened;
    const asked = [device.exchange(Uint8Array.of(1)), device.exchange(Uint8Array.of(2))];
    for (const ask of asked) {
      await assert.rejects(ask, (error: Error) => {
        assert.match(error.message, /thread of the NSM device failed/);
        assert.equal((error.cause as Error).message, "broken");
        return true;
      });
    }
    await assert.rejects(device.exchange(Uint8Array.of(3)), unavailable(/thread .* failed/));
  });

  it("refuses what waits when the thread ends", async () => {
    const device = link("process.exit();");
    await device.opened;
    await assert.rejects(device.exchange(Uint8Array.of(1)), unavailable(/thread .* has ended/));
  });

  it("is not opened by a thread that could not load the native library", async () => {
    const device = link("", '{ kind: "not-opened", step: "load", reason: "no such binary" }');
    await assert.rejects(
      device.opened,
      unavailable(/native library that calls \/dev\/nsm cannot be loaded: no such binary/),
    );
    await device.close();
  });

  it("is not opened by a thread that ends first", async () => {
    const device = link("", "process.exit()");
    await assert.rejects(device.opened, unavailable(/thread .* has ended/));
  });

  it("passes over an answer to nothing", async () => {
    const device = link(
      "answer(id + 100, { response: request }); answer(id, { response: request });",
    );
    await device.opened;
    assert.deepEqual([...(await device.exchange(Uint8Array.of(5)))], [5]);
    await device.close();
  });
});
