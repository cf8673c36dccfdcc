import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import type { ServerDuplexStream, ServiceDefinition } from "@grpc/grpc-js";
import { BehaviorService } from "#gen/behavior/v1/behavior_pb.js";
import { file_notary_v1_notary as notaryFile } from "#gen/notary/v1/notary_pb.js";
import {
  type ServerReflectionRequest,
  ServerReflectionRequestSchema,
  ServerReflectionResponseSchema,
} from "#gen/grpc/reflection/v1/reflection_pb.js";
import { ReflectionSource } from "../../../cli/call/reflection-source.ts";
import { AttestedChannel } from "../../../services/client/index.ts";
import { TestEnclave } from "../../support/enclave.ts";

type Answer = NonNullable<
  MessageInitShape<typeof ServerReflectionResponseSchema>["messageResponse"]
>;
type Question = ServerReflectionRequest["messageRequest"];

/** The reflection service of a version that answers as `answer` does. */
function reflection(version: string): ServiceDefinition {
  return {
    serverReflectionInfo: {
      path: `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`,
      requestStream: true,
      responseStream: true,
      requestSerialize: () => Buffer.alloc(0),
      requestDeserialize: (bytes) => fromBinary(ServerReflectionRequestSchema, bytes),
      responseSerialize: (answer: Answer) =>
        Buffer.from(
          toBinary(
            ServerReflectionResponseSchema,
            create(ServerReflectionResponseSchema, { messageResponse: answer }),
          ),
        ),
      responseDeserialize: () => ({}),
    },
  };
}

const file = (text: object): Uint8Array =>
  toBinary(FileDescriptorProtoSchema, create(FileDescriptorProtoSchema, text));
const files = (...fileDescriptorProto: Uint8Array[]): Answer => ({
  case: "fileDescriptorResponse",
  value: { fileDescriptorProto },
});
const notFound: Answer = { case: "errorResponse", value: { errorCode: 5, errorMessage: "" } };

describe("reflection as a source of descriptors", () => {
  const stops: (() => Promise<void>)[] = [];
  after(async () => Promise.all(stops.map(async (stop) => stop())));

  /** A source that asks an enclave with these services. */
  const sourceOf = async (
    add: Parameters<typeof TestEnclave.start>[0],
    options: Parameters<typeof TestEnclave.start>[1] = {},
  ): Promise<ReflectionSource> => {
    const enclave = await TestEnclave.start(add, options);
    const channel = new AttestedChannel(enclave.address, { policy: enclave.policy });
    stops.push(async () => {
      channel.close();
      await enclave.stop();
    });
    return new ReflectionSource(channel, () => ({ timeoutMs: 10_000 }));
  };
  const answering = async (
    version: string,
    answer: (question: Question) => Answer,
  ): Promise<ReflectionSource> =>
    sourceOf((server) => {
      server.addService(reflection(version), {
        serverReflectionInfo(call: ServerDuplexStream<ServerReflectionRequest, Answer>) {
          call.on("data", ({ messageRequest }: ServerReflectionRequest) => {
            call.write(answer(messageRequest));
          });
          call.on("end", () => call.end());
        },
      });
    });

  it("knows the services of an enclave, and all that they need", async () => {
    const source = await sourceOf((server) => server.addService(BehaviorService, {}), {
      reflection: true,
    });
    assert.deepEqual(await source.services(), [
      "behavior.v1.BehaviorService",
      "grpc.health.v1.Health",
    ]);
    const registry = await source.registryFor("behavior.v1.BehaviorService");
    const method = registry?.getService("behavior.v1.BehaviorService")?.methods[0];
    assert.deepEqual(
      method?.input.fields.map(({ message }) => message?.typeName),
      BehaviorService.method.unary.input.fields.map(({ message }) => message?.typeName),
    );
    assert.equal(await source.registryFor("absent.Service"), undefined);
  });

  it("falls back to the version of before 2023", async () => {
    const source = await answering("v1alpha", ({ case: kind }) =>
      kind === "listServices"
        ? { case: "listServicesResponse", value: { service: [{ name: "b" }, { name: "a" }] } }
        : files(toBinary(FileDescriptorProtoSchema, notaryFile.proto)),
    );
    assert.deepEqual(await source.services(), ["a", "b"]);
    assert.ok((await source.registryFor("notary.v1.Receipt"))?.getMessage("notary.v1.Receipt"));
  });

  it("asks for the imports that an answer leaves out, each once", async () => {
    const asked: string[] = [];
    const source = await answering("v1", ({ case: kind, value }) => {
      if (kind === "fileContainingSymbol") {
        const dependency = ["far.proto", "absent.proto", "google/protobuf/any.proto"];
        return files(file({ name: "near.proto", dependency, messageType: [{ name: "Near" }] }));
      }
      asked.push(typeof value === "string" ? value : "");
      if (value === "absent.proto") return notFound;
      return files(file({ name: "far.proto", messageType: [{ name: "Far" }] }));
    });
    const registry = await source.registryFor("Near");
    assert.ok(registry?.getMessage("Far"));
    assert.deepEqual(asked, ["far.proto", "absent.proto"]);
  });

  it("ends with an enclave that never runs out of files", async () => {
    let count = 0;
    const source = await answering("v1", () =>
      files(
        ...Array.from({ length: 500 }, () => {
          count++;
          return file({ name: `${count}.proto`, dependency: [`${count + 1000}.proto`] });
        }),
      ),
    );
    await assert.rejects(source.registryFor("Any"), /more than 4096 files/);
  });

  it("passes on an error that is not the absence of a symbol", async () => {
    const source = await answering("v1", () => ({
      case: "errorResponse",
      value: { errorCode: 7, errorMessage: "not for you" },
    }));
    await assert.rejects(source.services(), /PERMISSION_DENIED: not for you/);
  });
});
