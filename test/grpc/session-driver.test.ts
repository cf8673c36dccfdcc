import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { SessionDriver } from "../../services/grpc/session-driver.ts";
import { createPair, OK, openCall } from "../support/session-pair.ts";

describe("what drives a session", () => {
  it("lets answers leave while the rest of a record waits", async () => {
    const happened: string[] = [];
    const driver = new SessionDriver({
      unwrittenBytes: () => 0,
      write: () => happened.push("written"),
      end: () => {},
    });
    const pair = createPair({
      onOutput: driver.onOutput,
      onCall: (call) => {
        happened.push("served");
        queueMicrotask(() => {
          call.start(true, 0);
          call.end(OK);
        });
        return { onMessage: () => {}, onHalfClose: () => {}, onCancel: () => {} };
      },
    });
    for (let i = 0; i < 100; i += 1) openCall(pair);
    const [record] = pair.take("client");
    assert.ok(record);
    driver.drive(pair.enclave.session);
    driver.receive(record);
    for (let turn = 0; turn < 100; turn += 1) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.equal(happened.filter((one) => one === "served").length, 100);
    const first = happened.indexOf("written");
    assert.ok(first > 0 && first < 99, `${first} calls were served before the first answer left`);
  });
});
