/** A compiler's descriptors are the measure. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { type AnyDesc, type DescField, fromBinary, type Registry } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { registryOf } from "../../../cli/call/descriptor-registry.ts";
import { readProtoFiles } from "../../../cli/call/proto-files.ts";
import { repositoryRoot } from "../../support/repository.ts";

const folder = join(repositoryRoot, "test", "cli", "call", "proto");

/** What decides how messages look on the wire and in JSON. */
function essence(registry: Registry): object {
  const entries = [...registry]
    .filter(({ typeName }) => typeName.startsWith("shapes."))
    .map((desc) => [`${desc.kind} ${desc.typeName}`, essenceOf(desc)] as const);
  return Object.fromEntries(entries);
}

function essenceOf(desc: AnyDesc): unknown {
  switch (desc.kind) {
    case "message":
      return desc.fields.map(fieldEssence);
    case "enum":
      return [desc.open, desc.values.map(({ name, number }) => [name, number])];
    case "extension":
      return [desc.extendee.typeName, fieldEssence(desc as unknown as DescField)];
    case "service":
      return desc.methods.map(({ name, methodKind, input, output, idempotency }) => [
        name,
        methodKind,
        input.typeName,
        output.typeName,
        idempotency,
      ]);
    default:
      return undefined;
  }
}

function fieldEssence(field: DescField): unknown {
  const { name, number, jsonName, fieldKind, scalar, presence, packed, delimitedEncoding } =
    field as DescField & { packed?: boolean; delimitedEncoding?: boolean };
  const { listKind, mapKind, mapKey } = field as unknown as Record<string, unknown>;
  return {
    json: [name, number, jsonName],
    wire: [fieldKind, scalar, presence, packed, delimitedEncoding, listKind, mapKind, mapKey],
    type: (field.message ?? field.enum)?.typeName,
    oneof: field.oneof?.name,
  };
}

describe("descriptors from .proto files", () => {
  const scratch = mkdtempSync(join(tmpdir(), "proto-"));
  after(() => rmSync(scratch, { recursive: true }));
  const written = (name: string, text: string): string => {
    writeFileSync(join(scratch, name), text);
    return join(scratch, name);
  };

  it("say of messages what a compiler says", async () => {
    const buf = join(repositoryRoot, "node_modules", ".bin", "buf");
    const { stdout, stderr } = spawnSync(buf, ["build", ".", "-o", "-"], { cwd: folder });
    const compiled = fromBinary(FileDescriptorSetSchema, stdout).file;
    assert.notEqual(compiled.length, 0, String(stderr));
    const read = await readProtoFiles(["shapes/edition.proto"], [folder]);
    assert.deepEqual(essence(registryOf(read)), essence(registryOf(compiled)));
  });

  it("are of the file that is named, be it by path or by import path", async () => {
    const [byPath] = await readProtoFiles([join(folder, "shapes/legacy.proto")], [folder]);
    const [byName] = await readProtoFiles(["shapes/legacy.proto"], ["absent", folder]);
    assert.equal(byPath?.name, "shapes/legacy.proto");
    assert.deepEqual(byPath, byName);
  });

  it("name the file that cannot be read, and where it was looked for", async () => {
    const importing = written("a.proto", 'syntax = "proto3"; import "b.proto";');
    await assert.rejects(readProtoFiles([importing], ["x"]), /b\.proto: not found in x, \./);
    const broken = written("c.proto", 'syntax = "proto3"; message {');
    await assert.rejects(readProtoFiles([broken], [scratch]), /illegal.*c\.proto, line 1/);
  });
});
