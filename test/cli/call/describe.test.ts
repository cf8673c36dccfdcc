import assert from "node:assert/strict";
import { join } from "node:path";
import { before, describe, it } from "node:test";
import { create, type FileRegistry } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { describe as describeSymbol } from "../../../cli/call/describe.ts";
import { registryOf } from "../../../cli/call/descriptor-registry.ts";
import { readProtoFiles } from "../../../cli/call/proto-files.ts";
import { repositoryRoot } from "../../support/repository.ts";

const folder = join(repositoryRoot, "test", "cli", "call", "proto");

describe("the description of a symbol", () => {
  let registry: FileRegistry;
  before(async () => {
    registry = registryOf(await readProtoFiles(["shapes/edition.proto"], [folder]));
  });
  const lines = (name: string): string[] =>
    describeSymbol(registry.get(name) ?? assert.fail(name)).split("\n");

  it("says how fields are written", () => {
    const outer = lines("shapes.v1.Outer");
    for (const line of [
      "  shapes.v1.Outer.Inner inner = 1;",
      "  repeated shapes.v1.Outer.Inner.State states = 2;",
      "  map<string, shapes.v1.Outer.Inner> by_name = 3;",
      "  map<int64, shapes.v1.Outer.Color> colors_2x = 4;",
      "  oneof choice {",
      "    bytes raw = 6;",
      "  optional uint64 maybe = 8;",
      "  repeated double doubles = 14;",
    ]) {
      assert.ok(outer.includes(line), line);
    }
    assert.ok(lines("shapes.v1.Other").includes("  required int32 must = 1;"));
    assert.ok(lines("shapes.edition.Features").includes("  optional string b = 2;"));
    assert.deepEqual(lines("shapes.v1.Outer.Color").slice(2, 5), [
      "  RED = 1;",
      "  CRIMSON = 1;",
      "  NEGATIVE = -3;",
    ]);
  });

  it("says which side of a method streams", () => {
    assert.deepEqual(lines("shapes.v1.Shapes"), [
      "service shapes.v1.Shapes {",
      "  rpc Give(shapes.v1.Outer) returns (stream shapes.v1.Other);",
      "  rpc Take(stream shapes.v1.Other) returns (google.protobuf.Any);",
      "  rpc Both(stream shapes.v1.Outer.Inner) returns (stream shapes.v1.Outer.Inner);",
      "}",
      "",
    ]);
  });

  it("cannot steer a terminal", () => {
    const file = { name: "x", package: "a\u001b[31m", messageType: [{ name: "M" }] };
    const crafted = registryOf([create(FileDescriptorProtoSchema, file)]);
    const message = crafted.get("a\u001b[31m.M") ?? assert.fail();
    assert.equal(describeSymbol(message), "message a\\u{1b}[31m.M {}\n");
  });
});
