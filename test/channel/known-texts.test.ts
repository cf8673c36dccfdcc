import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { KnownTexts } from "../../channel/known-texts.ts";

const encoder = new TextEncoder();

/** Decodes a text that stands between other bytes. */
function decode(texts: KnownTexts, bytes: Uint8Array): string {
  const around = Uint8Array.of(0x61, ...bytes, 0x61);
  return texts.decode(around, 1, 1 + bytes.length);
}

describe("known texts", () => {
  it("decode as UTF-8, whatever came before", () => {
    // Few characters, so that texts come again and fall into the same places.
    const text = fc.string({ unit: fc.constantFrom("a", "b", "é", "\u{1f600}"), maxLength: 70 });
    fc.assert(
      fc.property(fc.array(text, { maxLength: 200 }), (all) => {
        const texts = new KnownTexts();
        for (const one of all) assert.equal(decode(texts, encoder.encode(one)), one);
      }),
    );
  });

  it("refuse what is not UTF-8, also where its bytes are the characters of a text that came", () => {
    const texts = new KnownTexts();
    const strict = new TextDecoder("utf-8", { fatal: true });
    for (let first = 0x80; first <= 0xff; first++) {
      for (let second = 0x80; second <= 0xff; second++) {
        decode(texts, encoder.encode(String.fromCharCode(first, second)));
        const bytes = Uint8Array.of(first, second);
        let expected: string | undefined;
        try {
          expected = strict.decode(bytes);
        } catch {
          assert.throws(() => decode(texts, bytes), TypeError);
          continue;
        }
        assert.equal(decode(texts, bytes), expected);
      }
    }
  });
});
