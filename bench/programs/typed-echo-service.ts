/** The unary method of the echo service as protobuf-es describes it: bytes in the least message there is. */
import { create, createFileRegistry, type DescService } from "@bufbuild/protobuf";
import {
  type BytesValue,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
  file_google_protobuf_wrappers,
} from "@bufbuild/protobuf/wkt";

export interface EchoClient {
  unary(request: { value: Uint8Array }): Promise<BytesValue>;
}

const type = ".google.protobuf.BytesValue";
const registry = createFileRegistry(
  create(FileDescriptorSetSchema, {
    file: [
      file_google_protobuf_wrappers.proto,
      create(FileDescriptorProtoSchema, {
        name: "bench.proto",
        package: "bench",
        syntax: "proto3",
        dependency: [file_google_protobuf_wrappers.proto.name],
        service: [{ name: "Echo", method: [{ name: "Unary", inputType: type, outputType: type }] }],
      }),
    ],
  }),
);

export const typedEchoService: DescService = service();

function service(): DescService {
  const found = registry.getService("bench.Echo");
  if (found === undefined) throw new Error("the registry has lost its service");
  return found;
}
