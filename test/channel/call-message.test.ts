import assert from "node:assert/strict";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, it } from "node:test";
import {
  RequestHeaderSchema,
  ResponseHeaderSchema,
  StatusSchema,
} from "#gen/sealrpc/v1/call_pb.js";
import {
  boundOf,
  fits,
  isMetadataKey,
  parseRequestHeader,
  parseResponseHeader,
  parseStatus,
  writeHeader,
  type RequestHeader,
  type ResponseHeader,
  type Status,
} from "../../channel/call-message.ts";
import { KnownTexts } from "../../channel/known-texts.ts";
import { Violation } from "../../channel/violation.ts";

const numRuns = Number(process.env["FUZZ_RUNS"] ?? 100);
const key = fc
  .string({
    unit: fc.constantFrom("a", "z", "0", "9", "_", ".", "-"),
    minLength: 1,
    maxLength: 300,
  })
  .filter(isMetadataKey);
const plain = { noNullPrototype: true } as const;
const entries = fc.array(fc.record({ key, value: fc.uint8Array({ maxLength: 300 }) }, plain), {
  maxLength: 5,
});
const text = fc.string({ unit: "grapheme", maxLength: 300 });
const number = fc.maxSafeNat();

const requestHeader: fc.Arbitrary<RequestHeader> = fc.record(
  {
    method: text,
    metadata: entries,
    sentMs: number,
    timeoutMs: number,
    encoding: text,
    authority: text,
  },
  plain,
);
const responseHeader: fc.Arbitrary<ResponseHeader> = fc.record(
  { metadata: entries, encoding: text },
  plain,
);
const status: fc.Arbitrary<Status> = fc.record(
  {
    code: fc.integer({ min: 0, max: 16 }),
    message: text,
    trailers: entries,
  },
  plain,
);

function written(header: RequestHeader | ResponseHeader | Status): Uint8Array {
  const out = new Uint8Array(boundOf(header));
  return out.slice(0, writeHeader(out, 0, header));
}

const texts = new KnownTexts();

describe("the codec of what frames carry", () => {
  it("writes a RequestHeader as the generated code does", () => {
    fc.assert(
      fc.property(requestHeader, (header) => {
        const { sentMs, timeoutMs, ...rest } = header;
        const message = { ...rest, sentMs: BigInt(sentMs), timeoutMs: BigInt(timeoutMs) };
        const expected = toBinary(
          RequestHeaderSchema,
          create(RequestHeaderSchema, { ...message, metadata: [...header.metadata] }),
        );
        assert.deepEqual(written(header), new Uint8Array(expected));
        assert.deepEqual(parseRequestHeader(expected, texts), header);
      }),
      { numRuns },
    );
  });

  it("writes a ResponseHeader as the generated code does", () => {
    fc.assert(
      fc.property(responseHeader, (header) => {
        const message = create(ResponseHeaderSchema, { ...header, metadata: [...header.metadata] });
        const expected = toBinary(ResponseHeaderSchema, message);
        assert.deepEqual(written(header), new Uint8Array(expected));
        assert.deepEqual(parseResponseHeader(expected, texts), header);
      }),
      { numRuns },
    );
  });

  it("writes a Status as the generated code does", () => {
    fc.assert(
      fc.property(status, (value) => {
        const message = create(StatusSchema, { ...value, trailers: [...value.trailers] });
        const expected = toBinary(StatusSchema, message);
        assert.deepEqual(written(value), new Uint8Array(expected));
        assert.deepEqual(parseStatus(expected, texts), value);
      }),
      { numRuns },
    );
  });

  it("reads what the generated code reads, or refuses, on any bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        let ours: Status;
        try {
          ours = parseStatus(bytes, texts);
        } catch (error) {
          assert.ok(error instanceof Violation);
          return;
        }
        const theirs = fromBinary(StatusSchema, bytes);
        assert.equal(ours.message, theirs.message);
        assert.equal(ours.trailers.length, theirs.trailers.length);
      }),
      { numRuns: numRuns * 5 },
    );
  });

  it("throws nothing but its own error on cut or changed headers", () => {
    const whole = written({
      method: "/a.B/C",
      metadata: [{ key: "k-bin", value: Uint8Array.of(0, 255, 1) }],
      sentMs: 5,
      timeoutMs: 2 ** 40,
      encoding: "gzip",
      authority: "x",
    });
    for (let at = 0; at < whole.length; at++) {
      for (const bytes of [
        whole.slice(0, at),
        whole.map((byte, i) => (i === at ? byte ^ 0x80 : byte)),
      ]) {
        try {
          parseRequestHeader(bytes, texts);
        } catch (error) {
          assert.ok(error instanceof Violation);
        }
      }
    }
  });

  it("reads a status code above 16 as UNKNOWN", () => {
    assert.equal(parseStatus(Uint8Array.of(0x08, 17), texts).code, 2);
    assert.equal(parseStatus(Uint8Array.of(0x08, 16), texts).code, 16);
  });

  it("passes over fields that it does not know", () => {
    assert.equal(parseStatus(Uint8Array.of(0x08, 5, 0x7a, 1, 9, 0x78, 1), texts).code, 5);
  });

  for (const [what, bytes] of [
    ["a number beyond 2^53 - 1", [0x18, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10]],
    ["a number of eleven bytes", [0x18, ...Array.from({ length: 10 }, () => 0x80), 0]],
    ["text that is not UTF-8", [0x0a, 1, 0xff]],
    ["a length beyond the body", [0x0a, 5, 1]],
    ["an unknown wire type", [0x0b]],
    ["a field of the wrong wire type", [0x08, 0]],
    ["a field beyond those it knows, of an unknown wire type", [0x7b]],
    ["a field number of 0", [0x02, 0]],
    ["a fixed field cut short", [0x09, 1, 2]],
    ["an entry whose key goes beyond it", [0x12, 3, 0x0a, 2, 0x61, 0x2a, 0]],
    ["an entry that is cut short in a length", [0x12, 1, 0x0a, 1, 0x61]],
    ["metadata with a key in capitals", [0x12, 3, 0x0a, 1, 0x41]],
    ["metadata without a key", [0x12, 0]],
    ["metadata that forges a timeout", [0x12, 14, 0x0a, 12, ...Buffer.from("grpc-timeout")]],
  ] as const) {
    it(`refuses ${what}`, () => {
      assert.throws(() => parseRequestHeader(Uint8Array.from(bytes), texts), Violation);
    });
  }

  it("says that a header beyond 64 KiB does not fit, and that one at the limit does", () => {
    const ofSize = (length: number): Status => ({
      code: 0,
      message: "",
      trailers: [{ key: "k", value: new Uint8Array(length) }],
    });
    const overhead = written(ofSize(60_000)).length - 60_000;
    assert.ok(fits(ofSize(65_536 - overhead)));
    assert.ok(!fits(ofSize(65_537 - overhead)));
    assert.ok(!fits({ code: 0, message: "x".repeat(200_000), trailers: [] }));
  });
});
