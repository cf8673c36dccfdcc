import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { insecureCredentials, OuterChannel } from "../../services/client/outer-channel.ts";
import { startConnectServer } from "../support/connect-service.ts";

const MESSAGES = 15;
const MESSAGE_BYTES = 60_000;

describe("the outer stream", () => {
  it("says that a message is written when it is on its way, and has copied it by then", async () => {
    const received: Buffer[] = [];
    let readOn = (): void => {};
    const server = await startConnectServer((call) => {
      call.on("error", () => {});
      call.on("data", (message: Buffer) => {
        received.push(message);
        if (received.length > 1) return;
        // Nothing more is read, so nothing more than a window can be on its way.
        call.pause();
        readOn = () => call.resume();
        call.write(Buffer.from("one came"));
      });
      call.on("end", () => call.end());
    });
    const channel = new OuterChannel(server.address, insecureCredentials(), {}, []);
    const stream = channel.open();
    stream.on("error", () => {});
    let written = 0;
    for (let i = 0; i < MESSAGES; i++) {
      const message = new Uint8Array(MESSAGE_BYTES).fill(i);
      stream.write(message, () => {
        written += 1;
        // As the next record would do to this one's array.
        message.fill(0xee);
      });
    }
    await new Promise((resolve) => stream.once("data", resolve));
    assert.ok(written < MESSAGES / 2, `${written} were written`);

    const end = new Promise((resolve) => stream.once("end", resolve));
    stream.resume();
    readOn();
    stream.end();
    await end;
    assert.equal(written, MESSAGES);
    assert.deepEqual(
      received.map((message) => [message.length, new Set(message).size, message[0]]),
      Array.from({ length: MESSAGES }, (_, i) => [MESSAGE_BYTES, 1, i]),
    );
    channel.close();
    server.stop();
  });
});
