import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { create, createRegistry, toBinary } from "@bufbuild/protobuf";
import { anyPack, AnySchema, StructSchema } from "@bufbuild/protobuf/wkt";
import { ReceiptSchema } from "#gen/notary/v1/notary_pb.js";
import { JsonMessages } from "../../../cli/call/json-message.ts";
import { Misuse } from "../../../cli/misuse.ts";

const nothing = async (): Promise<undefined> => Promise.resolve(undefined);
const registry = createRegistry();
const messages = new JsonMessages(registry, nothing, false);

describe("messages as JSON", () => {
  it("are refused when JavaScript would round a number in them", async () => {
    for (const digits of ["9007199254740993", "-18446744073709551615"]) {
      await assert.rejects(messages.encode(ReceiptSchema, `{"number": ${digits}}`), (error) => {
        assert.ok(error instanceof Misuse);
        assert.match(error.message, /too many digits: write it in quotes/);
        return true;
      });
    }
    const quoted = await messages.encode(ReceiptSchema, '{"number": "9007199254740993"}');
    assert.match(await messages.format(ReceiptSchema, quoted), /"9007199254740993"/);
    await messages.encode(
      ReceiptSchema,
      '{"number": 9007199254740991, "name": "9007199254740993"}',
    );
    await messages.encode(StructSchema, '{"x": 0.12345678901234567890, "y": 1e300}');
  });

  it("leave defaults out, or show them on demand", async () => {
    assert.equal(await messages.format(ReceiptSchema, new Uint8Array()), "{}\n");
    const all = new JsonMessages(registry, nothing, true);
    assert.match(await all.format(ReceiptSchema, new Uint8Array()), /"size": "0"/);
  });

  it("find the types of Any where descriptors come from, each once", async () => {
    const asked: string[] = [];
    const finding = new JsonMessages(
      registry,
      async (name) => {
        asked.push(name);
        return Promise.resolve(name === "notary.v1.Receipt" ? ReceiptSchema : undefined);
      },
      false,
    );
    const json = '{"@type": "type.googleapis.com/notary.v1.Receipt", "name": "a"}';
    const bytes = await finding.encode(AnySchema, json);
    assert.deepEqual(JSON.parse(await finding.format(AnySchema, bytes)), JSON.parse(json));
    assert.deepEqual(asked, ["notary.v1.Receipt"]);
    const packed = anyPack(ReceiptSchema, create(ReceiptSchema));
    packed.typeUrl = "type.googleapis.com/absent.Type";
    await assert.rejects(finding.format(AnySchema, toBinary(AnySchema, packed)), /absent\.Type/);
  });

  it("cannot steer a terminal", async () => {
    const name = "é 漢 \u001b[31m \u009b \u202e \u{e0001} 😀";
    const text = await messages.format(
      ReceiptSchema,
      toBinary(ReceiptSchema, create(ReceiptSchema, { name })),
    );
    assert.equal(text, '{\n  "name": "é 漢 \\u001b[31m \\u009b \\u202e \\udb40\\udc01 😀"\n}\n');
    assert.equal((JSON.parse(text) as { name: string }).name, name);
  });
});
