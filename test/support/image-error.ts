/** Expects an error of the image layer. */
import assert from "node:assert/strict";
import { ImageError, type ImageErrorCode } from "../../image/errors.ts";

/** Expects `work` to be refused with this code, and the message to match. */
export function refusesImage(
  code: ImageErrorCode,
  work: () => unknown,
  message: RegExp = /./,
): void {
  assert.throws(work, (error) => {
    assert.ok(error instanceof ImageError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, message);
    assert.ok(error.message.startsWith(`[${code}] `));
    return true;
  });
}
