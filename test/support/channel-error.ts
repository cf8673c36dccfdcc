/** What tests demand of the channel's errors. */
import assert from "node:assert/strict";
import { ChannelError, type ChannelErrorCode } from "../../channel/errors.ts";

/** For `assert.throws` and `assert.rejects`: a ChannelError with that code. */
export function isChannelError(code: ChannelErrorCode): (error: unknown) => true {
  return (error) => {
    assert.ok(error instanceof ChannelError, String(error));
    assert.equal(error.code, code, error.message);
    return true;
  };
}
