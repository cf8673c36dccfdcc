import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { openFinished, sealFinished } from "../../channel/finished.ts";
import { trafficKey, type SealingKey } from "../../channel/key-schedule.ts";
import { nodeBackend } from "../../crypto/node.ts";
import { isChannelError } from "../support/channel-error.ts";

const aad = Uint8Array.of(1);
const plaintext = Uint8Array.of(2, 3);
const createKey = (): SealingKey => trafficKey(nodeBackend, 1, new Uint8Array(32));

describe("a handshake key", () => {
  it("seals once and opens once", () => {
    const [ours, theirs] = [createKey(), createKey()];
    const sealed = sealFinished(ours, aad, plaintext);
    assert.deepEqual(openFinished(theirs, aad, sealed), plaintext);
    assert.throws(() => sealFinished(ours, aad, plaintext), TypeError);
    assert.throws(() => openFinished(theirs, aad, sealed), TypeError);
  });

  it("has one try at opening", () => {
    const key = createKey();
    const sealed = sealFinished(createKey(), aad, plaintext);
    assert.throws(
      () => openFinished(key, new Uint8Array(0), sealed),
      isChannelError("authentication-failed"),
    );
    assert.throws(() => openFinished(key, aad, sealed), TypeError);
  });
});
