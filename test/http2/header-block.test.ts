import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Entry } from "../../channel/call-message.ts";
import {
  addEncoding,
  addMetadata,
  emptyBlock,
  MetadataError,
  readHeaderBlock,
} from "../../services/http2/header-block.ts";

const entry = (key: string, value: string | Uint8Array): Entry => ({
  key,
  value: typeof value === "string" ? Buffer.from(value) : value,
});

function textsOf(entries: readonly Entry[]): (readonly [string, string])[] {
  return entries.map(({ key, value }) => [key, Buffer.from(value).toString("latin1")]);
}

function written(...entries: Entry[]): Record<string, unknown> {
  const block = emptyBlock();
  addMetadata(block, entries);
  return { ...block };
}

describe("a received header block", () => {
  it("gives metadata in order, repeated keys apart", () => {
    const { metadata } = readHeaderBlock(["b", "1", "a", "2", "b", "3, 4", "empty", ""]);
    assert.deepEqual(textsOf(metadata), [
      ["b", "1"],
      ["a", "2"],
      ["b", "3, 4"],
      ["empty", ""],
    ]);
  });

  it("gives the bytes of binary values, padded or not, joined by commas or not", () => {
    const fields = [
      ["a-bin", "AP8B"],
      ["b-bin", "AA==,AA, AAA="],
      ["c-bin", ""],
      ["d-bin", "AA,"],
    ];
    const { metadata } = readHeaderBlock(fields.flat());
    assert.deepEqual(
      metadata.map(({ key, value }) => `${key} ${Buffer.from(value).toString("hex")}`),
      ["a-bin 00ff01", "b-bin 00", "b-bin 00", "b-bin 0000", "c-bin ", "d-bin 00", "d-bin "],
    );
  });

  it("says what gRPC says of the call apart from its metadata", () => {
    const fields = [
      [":path", "/a.B/C", "content-type", "application/grpc", "te", "trailers"],
      ["grpc-timeout", "5S", "grpc-encoding", "gzip", "grpc-accept-encoding", "gzip,identity"],
      ["grpc-status", "5", "grpc-message", "gone%21", "grpc-previous-rpc-attempts", "1"],
    ];
    const block = readHeaderBlock(fields.flat());
    const { metadata, ...rest } = block;
    assert.deepEqual(rest, { encoding: "gzip", timeout: "5S", status: "5", message: "gone%21" });
    assert.deepEqual(textsOf(metadata), [
      ["grpc-accept-encoding", "gzip,identity"],
      ["grpc-previous-rpc-attempts", "1"],
    ]);
  });

  it("takes identity for no encoding", () => {
    assert.equal(readHeaderBlock(["grpc-encoding", "identity"]).encoding, "");
    assert.equal(readHeaderBlock([]).encoding, "");
  });

  it("leaves out what belongs to a hop, what gRPC does not know, and what only a side itself says", () => {
    const left = ["connection", "host", "content-length", "keep-alive", "transfer-encoding"];
    left.push("upgrade", "http2-settings", "proxy-connection", "__proto__", "sealrpc-outcome");
    left.push("sealrpc-caller-pcr0", "x!y", "x~");
    assert.deepEqual(readHeaderBlock(left.flatMap((key) => [key, "1"])).metadata, []);
  });

  for (const [what, ...raw] of [
    ["a binary value that is no base64", "a-bin", "A_8B"],
    ["one that is none among others", "a-bin", "AA,!"],
    ["a value beyond ASCII", "a", "ü"],
    ["a value with a control character", "a", "1\t2"],
  ] as const) {
    it(`is refused for ${what}`, () => {
      assert.throws(() => readHeaderBlock(raw), MetadataError);
    });
  }
});

describe("a header block that is sent", () => {
  it("has text as it is and bytes in base64 without padding", () => {
    assert.deepEqual(written(entry("a", "x y"), entry("b-bin", Uint8Array.of(0)), entry("c", "")), {
      a: "x y",
      "b-bin": "AA",
      c: "",
    });
  });

  it("keeps repeated keys apart, in order", () => {
    const block = written(entry("a", "1"), entry("b", "2"), entry("a", "3"), entry("a", "4"));
    assert.deepEqual(block, { a: ["1", "3", "4"], b: "2" });
  });

  it("joins what HTTP knows as single", () => {
    const block = written(entry("authorization", "1"), entry("authorization", "2"));
    assert.deepEqual(block, { authorization: "1, 2" });
  });

  it("has nothing that belongs to a hop, or that only this side says", () => {
    const keys = ["connection", "host", "content-length", "grpc-status", "te", "__proto__"];
    assert.deepEqual(written(...keys.map((key) => entry(key, "1")), entry("sealrpc-x", "1")), {});
  });

  for (const value of ["line\nbreak", "nul\0", "ü", "\x7f"]) {
    it(`is refused for the value ${JSON.stringify(value)}`, () => {
      assert.throws(() => written(entry("a", value)), MetadataError);
    });
  }

  it("names an encoding, and refuses what cannot be its name", () => {
    const block = emptyBlock();
    addEncoding(block, "");
    assert.deepEqual({ ...block }, {});
    addEncoding(block, "gzip");
    assert.deepEqual({ ...block }, { "grpc-encoding": "gzip" });
    assert.throws(() => addEncoding(block, "gz\r\nip"), MetadataError);
  });
});
