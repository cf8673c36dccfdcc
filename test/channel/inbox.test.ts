import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { CallHost } from "../../channel/call-host.ts";
import * as frame from "../../channel/frame.ts";
import { Inbox } from "../../channel/inbox.ts";
import { nodeBackend } from "../../crypto/node.ts";

const RECORD_BYTES = 65_536;
/** What a typed array with a buffer of its own takes, at the least, in V8. */
const ARRAY_BYTES = 200;
const COUNT = 1000;

describe("an inbox", () => {
  const create = (): Inbox =>
    new Inbox({ onMessage: () => undefined, onDrained: () => undefined }, {
      receiveCredit: 1_000_000,
      maxReceiveMessageBytes: 1_000_000,
      memory: nodeBackend,
    } as unknown as CallHost);

  it("counts empty messages as what they take", () => {
    const inbox = create();
    for (let i = 0; i < COUNT; i++) inbox.accept(0, new Uint8Array(0), RECORD_BYTES);
    assert.ok(inbox.heldBytes >= COUNT * ARRAY_BYTES);
    for (let i = 0; i < COUNT; i++) inbox.read();
    assert.equal(inbox.heldBytes, 0);
  });

  it("counts small pieces as what they take, until they are one message", () => {
    const inbox = create();
    inbox.accept(frame.MORE, Uint8Array.of(0, 0, COUNT >>> 8, COUNT & 255, 1), RECORD_BYTES);
    for (let i = 2; i < COUNT; i++) inbox.accept(frame.MORE, Uint8Array.of(1), RECORD_BYTES);
    assert.ok(inbox.heldBytes >= (COUNT - 1) * ARRAY_BYTES);
    inbox.accept(0, Uint8Array.of(1), RECORD_BYTES);
    inbox.read();
    assert.equal(inbox.heldBytes, 0);
  });
});
