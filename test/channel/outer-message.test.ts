import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import {
  ConnectRequestSchema,
  ConnectResponseSchema,
} from "#gen/sealrpc/v1/attested_channel_pb.js";
import { ChannelError, type ChannelErrorCode } from "../../channel/errors.ts";
import { isChannelError } from "../support/channel-error.ts";
import {
  encodeRecordMessage,
  MAX_OUTER_MESSAGE_BYTES,
  parseOuter,
  RECORD_HEADROOM,
} from "../../channel/outer-message.ts";
import { MAX_RECORD_BYTES } from "../../channel/record.ts";

const numRuns = Number(process.env.FUZZ_RUNS ?? 100);

function withHeadroom(record: Uint8Array): Uint8Array {
  const buffer = new Uint8Array(RECORD_HEADROOM + record.length);
  buffer.set(record, RECORD_HEADROOM);
  return buffer;
}

describe("an outer message", () => {
  const lengths = [0, 1, 127, 128, 16_383, 16_384, MAX_RECORD_BYTES];
  for (const length of lengths) {
    it(`holds a record of ${length} bytes as the generated code writes it`, () => {
      const record = new Uint8Array(length).fill(length);
      for (const schema of [ConnectRequestSchema, ConnectResponseSchema]) {
        const expected = toBinary(
          schema,
          create(schema, { kind: { case: "record", value: record } }),
        );
        assert.deepEqual(encodeRecordMessage(withHeadroom(record), false), expected);
        assert.deepEqual(parseOuter(expected), { kind: "record", body: record });
        assert.ok(expected.length <= MAX_OUTER_MESSAGE_BYTES);
        const prefixed = encodeRecordMessage(withHeadroom(record), true);
        assert.deepEqual(prefixed.subarray(5), expected);
        assert.equal(prefixed[0], 0);
        assert.equal(
          new DataView(prefixed.buffer, prefixed.byteOffset).getUint32(1),
          expected.length,
        );
      }
    });
  }

  it("copies no record, either way", () => {
    const buffer = withHeadroom(new Uint8Array(300));
    const message = encodeRecordMessage(buffer, true);
    assert.equal(message.buffer, buffer.buffer);
    assert.equal(parseOuter(message.subarray(5)).body.buffer, buffer.buffer);
  });

  it("is told apart by its kind", () => {
    const empty = new Uint8Array(0);
    const hello = create(ConnectRequestSchema, {
      kind: { case: "hello", value: { clientHello: Uint8Array.of(1) } },
    });
    const finish = create(ConnectRequestSchema, {
      kind: { case: "finish", value: { suite: 1, enc: empty, sealed: empty } },
    });
    const parsedHello = parseOuter(toBinary(ConnectRequestSchema, hello));
    assert.deepEqual(parsedHello, { kind: "hello", body: Uint8Array.of(0x0a, 1, 1) });
    const parsedFinish = parseOuter(toBinary(ConnectRequestSchema, finish));
    assert.deepEqual(parsedFinish, { kind: "finish", body: Uint8Array.of(0x08, 1) });
  });

  const refused: readonly [string, ChannelErrorCode, readonly number[]][] = [
    ["nothing", "malformed-handshake", []],
    ["an unknown field", "malformed-handshake", [0x22, 0]],
    ["a field of another wire type", "malformed-handshake", [0x18, 0]],
    ["a record without a length", "malformed-record", [0x1a]],
    ["an unfinished length", "malformed-record", [0x1a, 0x80]],
    ["a length of five bytes", "malformed-record", [0x1a, 0x80, 0x80, 0x80, 0x80, 0]],
    ["a record shorter than announced", "malformed-record", [0x1a, 2, 0]],
    ["something after the record", "malformed-record", [0x1a, 1, 0, 0]],
    ["two records", "malformed-record", [0x1a, 1, 0, 0x1a, 1, 0]],
    ["a record announced beyond the limit", "record-too-large", [0x1a, 0x91, 0x80, 0x10]],
    ["a hello shorter than announced", "malformed-handshake", [0x0a, 2, 0]],
  ];
  for (const [name, expected, bytes] of refused) {
    it(`is refused: ${name}`, () => {
      assert.throws(() => parseOuter(Uint8Array.from(bytes)), isChannelError(expected));
    });
  }

  it("is refused: a handshake message of 27 KiB", () => {
    const message = new Uint8Array(27 * 1024);
    message.set([0x0a, 0xfc, 0xd7, 0x01]);
    assert.throws(() => parseOuter(message), isChannelError("malformed-handshake"));
  });

  it("throws nothing but ChannelError on any bytes, and agrees with the generated code", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 40 }),
        fc.constantFrom(0x0a, 0x12, 0x1a),
        (tail, tag) => {
          const message = Uint8Array.of(tag, ...tail);
          try {
            const { kind, body } = parseOuter(message);
            if (kind !== "record") return;
            const parsed = fromBinary(ConnectRequestSchema, message);
            assert.deepEqual(parsed.kind, { case: kind, value: body });
          } catch (error) {
            assert.ok(error instanceof ChannelError);
          }
        },
      ),
      { numRuns },
    );
  });
});
