/** What tests demand of an error: its layer's class, its code, and the code in its message. */
import assert from "node:assert/strict";
import { AttestationError } from "../../attestation/errors.ts";

/** For `assert.throws` and `assert.rejects`: an AttestationError with that code. */
export function hasCode(code: string, message?: RegExp): (error: unknown) => true {
  return (error) => {
    assert.ok(error instanceof AttestationError, String(error));
    assert.equal(error.code, code, error.message);
    assert.ok(error.message.startsWith(`[${code}] `), error.message);
    if (message !== undefined) assert.match(error.message, message);
    return true;
  };
}
