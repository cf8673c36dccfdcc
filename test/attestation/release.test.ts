import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseManifestContent } from "../../attestation/manifest-content.ts";
import { parseReleases, releaseOf } from "../../attestation/release.ts";
import { manifestWith, pcr, releases } from "../support/manifest.ts";

const [current, supported, revoked] = releases;
const refuses = (value: unknown, name: string, message: RegExp): void => {
  assert.throws(
    () => parseReleases(value),
    (error: unknown) => {
      assert.ok(error instanceof Error);
      assert.equal(error.name, name, error.message);
      assert.match(error.message, message);
      return true;
    },
  );
};
const withCurrent = (changes: object): unknown => [{ ...current, ...changes }, supported, revoked];

describe("a list of releases", () => {
  it("has exactly one that is current", () => {
    refuses([supported, revoked], "RangeError", /exactly one current release, received 0/);
    const second = { ...supported, status: "current" };
    refuses([current, second], "RangeError", /exactly one current release, received 2/);
  });

  it("has at least one, and at most a hundred", () => {
    refuses(undefined, "TypeError", /list/);
    refuses({}, "TypeError", /list/);
    refuses([], "RangeError", /1 to 100, received 0/);
    refuses(
      Array.from({ length: 101 }, () => current),
      "RangeError",
      /1 to 100, received 101/,
    );
  });

  it("names a version once", () => {
    const again = { ...supported, version: current?.version };
    refuses([current, again], "RangeError", /version 2\.0\.0 is there twice/);
  });

  it("has a pcr0 once, in one release or in two, whatever the case of its digits", () => {
    const digits = pcr(0xab);
    const twice = [{ pcr0: digits, pcr8: pcr(1) }, { pcr0: digits.toUpperCase() }];
    refuses(withCurrent({ referenceValues: twice }), "RangeError", /pcr0 abab.* twice/);
    const other = { ...revoked, referenceValues: current?.referenceValues };
    refuses([current, other], "RangeError", /pcr0 0101.* twice/);
  });

  const wrong: Readonly<Record<string, readonly [object, string, RegExp]>> = {
    "an unknown key": [{ pcr0: pcr(1) }, "TypeError", /releases\[0\]: unknown key "pcr0"/],
    "no version": [{ version: undefined }, "TypeError", /releases\[0\]\.version/],
    "an empty version": [{ version: "" }, "TypeError", /version/],
    "a version with a line end": [{ version: "1\n" }, "TypeError", /version/],
    "a long version": [{ version: "1".repeat(65) }, "TypeError", /version/],
    "an unknown status": [{ status: "latest" }, "TypeError", /current, supported, revoked/],
    "no set": [{ referenceValues: [] }, "RangeError", /releases\[0\]\.referenceValues/],
    "too many sets": [
      { referenceValues: Array.from({ length: 9 }, (_, i) => ({ pcr0: pcr(i + 16) })) },
      "RangeError",
      /1 to 8, received 9/,
    ],
    "a set without pcr0": [{ referenceValues: [{ pcr1: pcr(1) }] }, "TypeError", /expected pcr0/],
    "an unknown register": [
      { referenceValues: [{ pcr0: pcr(1), pcr16: pcr(1) }] },
      "TypeError",
      /unknown key "pcr16"/,
    ],
    "a measurement of zeros": [
      { referenceValues: [{ pcr0: pcr(1), pcr2: pcr(0) }] },
      "RangeError",
      /releases\[0\]\.referenceValues\[0\]\.pcr2: all zero/,
    ],
    "a short measurement": [{ referenceValues: [{ pcr0: "ab" }] }, "RangeError", /48 bytes/],
    "the role of a host": [
      { referenceValues: [{ pcr0: pcr(1), pcr3: pcr(1) }] },
      "TypeError",
      /pcr3: belongs to a deployment/,
    ],
    "an instance": [
      { referenceValues: [{ pcr0: pcr(1), pcr4: pcr(1) }] },
      "TypeError",
      /pcr4: belongs to a deployment/,
    ],
  };
  for (const [name, [changes, error, message]] of Object.entries(wrong)) {
    it(`refuses a release with ${name}`, () => refuses(withCurrent(changes), error, message));
  }

  it("refuses a release without one of its keys, or that is no object", () => {
    for (const key of ["version", "status", "referenceValues"] as const) {
      const { [key]: _, ...others } = current!;
      refuses([others], "TypeError", new RegExp(`expected ${key}, received none`));
    }
    for (const value of [null, "1.0", []]) refuses([value], "TypeError", /releases\[0\]: expected/);
  });
});

describe("the release of measurements", () => {
  it("is the one that has a set which they match in every register", () => {
    const list = parseReleases([
      { ...current, referenceValues: [{ pcr0: pcr(9) }, { pcr0: pcr(1), pcr2: pcr(5) }] },
      revoked,
    ]);
    assert.equal(releaseOf(list, { 0: pcr(1), 2: pcr(5), 3: pcr(7) })?.version, "2.0.0");
    assert.equal(releaseOf(list, { 0: pcr(9) })?.version, "2.0.0");
    assert.equal(releaseOf(list, { 0: pcr(3) })?.version, "1.8.0");
    assert.equal(releaseOf(list, { 0: pcr(1), 2: pcr(6) }), undefined);
    assert.equal(releaseOf(list, { 0: pcr(1) }), undefined);
  });
});

describe("what a manifest says", () => {
  const wrong: Readonly<Record<string, readonly [object, RegExp]>> = {
    "a service that is no name": [{ service: "a b" }, /^service/],
    "a service without a name": [{ service: "" }, /^service/],
    "a long name": [{ service: "a".repeat(129) }, /^service/],
    "a sequence of 0": [{ sequence: 0 }, /^sequence/],
    "a sequence that is not whole": [{ sequence: 1.5 }, /^sequence/],
    "a sequence beyond safe numbers": [{ sequence: 2 ** 53 }, /^sequence/],
    "a sequence as text": [{ sequence: "1" }, /^sequence/],
    "a time before 1970": [{ issuedAtMs: -1 }, /^issuedAtMs/],
    "a time that no Date holds": [{ expiresAtMs: 8_640_000_000_000_001 }, /^expiresAtMs/],
    "an end that is its begin": [{ issuedAtMs: 5, expiresAtMs: 5 }, /^expiresAtMs: expected 6/],
  };
  for (const [name, [changes, message]] of Object.entries(wrong)) {
    it(`is refused with ${name}`, () => {
      assert.throws(
        () => parseManifestContent({ ...manifestWith(), ...changes }),
        (error: unknown) => {
          assert.ok(error instanceof TypeError || error instanceof RangeError);
          assert.match(error.message, message);
          return true;
        },
      );
    });
  }
});
