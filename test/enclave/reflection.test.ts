import assert from "node:assert/strict";
import { after, describe, it } from "node:test";

import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { fromBinary } from "@bufbuild/protobuf";
import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";

import { BehaviorService } from "#gen/behavior/v1/behavior_pb.js";
import { TestEnclave } from "../support/enclave.ts";

const METHOD = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";

/** A ServerReflectionRequest with one text field: 4 is file_containing_symbol, 7 list_services. */
const ask = (field: number, text: string): Uint8Array =>
  new BinaryWriter()
    .uint32((field << 3) | 2)
    .string(text)
    .finish();

/** The fields of a message that are length-delimited, by number. */
function fieldsOf(bytes: Uint8Array): Map<number, Uint8Array[]> {
  const fields = new Map<number, Uint8Array[]>();
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [field, wire] = reader.tag();
    if (wire === WireType.LengthDelimited)
      fields.set(field, [...(fields.get(field) ?? []), reader.bytes()]);
    else reader.skip(wire);
  }
  return fields;
}

describe("server reflection", () => {
  const started: TestEnclave[] = [];
  const start = async (reflection: boolean): Promise<TestEnclave> => {
    const add = (server: TestEnclave["server"]): void => server.addService(BehaviorService, {});
    const enclave = await TestEnclave.start(add, { reflection });
    started.push(enclave);
    return enclave;
  };
  after(() => Promise.all(started.map((enclave) => enclave.stop())));

  it("is not there unless asked for", async () => {
    const session = await (await start(false)).session();
    const { end } = await session.unary("", ask(7, ""), { method: METHOD });
    assert.equal(end.kind === "refused" && end.status.code, 12);
  });

  it("lists the services, inside the seal", async () => {
    const session = await (await start(true)).session();
    const { messages } = await session.unary("", ask(7, ""), { method: METHOD });
    const [list] = fieldsOf(messages[0] ?? new Uint8Array()).get(6) ?? [];
    const names = (fieldsOf(list ?? new Uint8Array()).get(1) ?? []).map((service) =>
      Buffer.from(fieldsOf(service).get(1)?.[0] ?? []).toString(),
    );
    assert.deepEqual(names.sort(), ["behavior.v1.BehaviorService", "grpc.health.v1.Health"]);
  });

  it("gives the file of a symbol", async () => {
    const session = await (await start(true)).session();
    const asked = ask(4, "behavior.v1.BehaviorService");
    const { messages } = await session.unary("", asked, { method: METHOD });
    const [found] = fieldsOf(messages[0] ?? new Uint8Array()).get(4) ?? [];
    const [file] = fieldsOf(found ?? new Uint8Array()).get(1) ?? [];
    assert.ok(file);
    assert.equal(fromBinary(FileDescriptorProtoSchema, file).package, "behavior.v1");
  });
});
