import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { create, fromJson, type JsonObject } from "@bufbuild/protobuf";
import { type FileDescriptorProto, FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { registryOf } from "../../../cli/call/descriptor-registry.ts";

function file(json: JsonObject): FileDescriptorProto {
  return fromJson(FileDescriptorProtoSchema, { syntax: "proto3", ...json });
}

const OPTIONAL = "LABEL_OPTIONAL";

describe("a registry of descriptor files", () => {
  it("fills in what parsers leave out: scopes, kinds, imports and JSON names", () => {
    const user = file({
      name: "user.proto",
      package: "a.b",
      messageType: [
        {
          name: "User",
          field: [
            { name: "the_kind", number: 1, label: OPTIONAL, typeName: "Kind" },
            { name: "far", number: 2, label: OPTIONAL, typeName: "c.Far" },
            { name: "made_at", number: 3, label: OPTIONAL, typeName: "google.protobuf.Timestamp" },
          ],
          enumType: [{ name: "Kind", value: [{ name: "NONE", number: 0 }] }],
        },
      ],
      service: [{ name: "S", method: [{ name: "M", inputType: "User", outputType: "b.User" }] }],
    });
    const far = file({ name: "far.proto", package: "a.c", messageType: [{ name: "Far" }] });
    const registry = registryOf([user, far]);
    const fields = registry.getMessage("a.b.User")?.fields ?? [];
    assert.deepEqual(
      fields.map(({ jsonName, message, enum: kind }) => [jsonName, (message ?? kind)?.typeName]),
      [
        ["theKind", "a.b.User.Kind"],
        ["far", "a.c.Far"],
        ["madeAt", "google.protobuf.Timestamp"],
      ],
    );
    assert.equal(registry.getService("a.b.S")?.methods[0]?.output.typeName, "a.b.User");
  });

  it("prefers the innermost type of a name", () => {
    const both = file({
      name: "both.proto",
      package: "a",
      messageType: [
        { name: "T" },
        {
          name: "M",
          field: [{ name: "t", number: 1, label: OPTIONAL, typeName: "T" }],
          nestedType: [{ name: "T" }],
        },
      ],
    });
    assert.equal(registryOf([both]).getMessage("a.M")?.fields[0]?.message?.typeName, "a.M.T");
  });

  it("goes without an import that nothing is used of, not without a type", () => {
    const lone = { name: "lone.proto", dependency: ["google/api/annotations.proto"] };
    assert.ok(registryOf([file({ ...lone, messageType: [{ name: "M" }] })]).getMessage("M"));
    const field = [{ name: "x", number: 1, label: OPTIONAL, typeName: ".google.api.Http" }];
    assert.throws(
      () => registryOf([file({ ...lone, messageType: [{ name: "M", field }] })]),
      /M uses \.google\.api\.Http, which no file defines/,
    );
  });

  it("refuses files that need each other", () => {
    const files = ["a", "b"].map((name) =>
      create(FileDescriptorProtoSchema, {
        name,
        dependency: [name === "a" ? "b" : "a"],
      }),
    );
    assert.throws(() => registryOf(files), /needs itself/);
  });
});
