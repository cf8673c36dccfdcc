/** Descriptors from the enclave itself: gRPC's reflection service, asked through the seal. */
import { createFileRegistry, fromBinary, fromJsonString, toJsonString } from "@bufbuild/protobuf";
import type { Registry } from "@bufbuild/protobuf";
import { type FileDescriptorProto, FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { status as Code } from "@grpc/grpc-js";
import {
  file_grpc_reflection_v1_reflection as reflectionFile,
  ServerReflection,
  type ServerReflectionRequest,
  type ServerReflectionResponse,
} from "#gen/grpc/reflection/v1/reflection_pb.js";
import {
  type AttestedChannel,
  CallError,
  type CallOptions,
  createClient,
} from "../../services/client/index.ts";
import { printable } from "../facts.ts";
import { registryOf, standardFiles } from "./descriptor-registry.ts";
import type { DescriptorSource } from "./descriptor-source.ts";

const MAX_FILES = 4096;
const NOT_FOUND: number = Code.NOT_FOUND;

type Question = ServerReflectionRequest["messageRequest"];
type Answer = ServerReflectionResponse["messageResponse"];

export class ReflectionSource implements DescriptorSource {
  readonly #channel: AttestedChannel;
  readonly #callOptions: () => CallOptions;
  readonly #files = new Map<string, FileDescriptorProto>();
  /** Newest first; those that the enclave does not know are dropped. */
  #versions = [ServerReflection, ancientReflection()];

  /** `callOptions` is asked anew for each call. */
  constructor(channel: AttestedChannel, callOptions: () => CallOptions) {
    this.#channel = channel;
    this.#callOptions = callOptions;
  }

  async services(): Promise<readonly string[]> {
    const answer = await this.#ask({ case: "listServices", value: "*" });
    if (answer?.case !== "listServicesResponse") return [];
    return answer.value.service.map(({ name }) => name).sort();
  }

  async registryFor(symbol: string): Promise<Registry | undefined> {
    if (!(await this.#fetch({ case: "fileContainingSymbol", value: symbol }))) return undefined;
    const asked = new Set(standardFiles.keys());
    for (let missing = this.#missing(asked); missing.length > 0; missing = this.#missing(asked)) {
      for (const value of missing) {
        asked.add(value);
        // A file that is imported for its options only is not always there, nor needed.
        await this.#fetch({ case: "fileByFilename", value });
      }
    }
    return registryOf(this.#files.values());
  }

  /** Imports that were neither found nor asked for. */
  #missing(asked: ReadonlySet<string>): readonly string[] {
    const imports = [...this.#files.values()].flatMap(({ dependency }) => dependency);
    return [...new Set(imports)].filter((name) => !asked.has(name) && !this.#files.has(name));
  }

  /** Keeps the files that the answer brings; false if there are none. */
  async #fetch(question: Question): Promise<boolean> {
    const answer = await this.#ask(question);
    if (answer?.case !== "fileDescriptorResponse") return false;
    for (const bytes of answer.value.fileDescriptorProto) {
      const file = fromBinary(FileDescriptorProtoSchema, bytes);
      if (this.#files.size >= MAX_FILES) throw new Error(`more than ${MAX_FILES} files`);
      this.#files.set(file.name, file);
    }
    return true;
  }

  /** Undefined: what was asked for does not exist. */
  async #ask(messageRequest: Question): Promise<Answer | undefined> {
    for (;;) {
      const [version] = this.#versions;
      if (version === undefined) throw new Error("unreachable");
      try {
        return await this.#askVersion(version, messageRequest);
      } catch (error) {
        if (!(error instanceof CallError) || error.code !== Code.UNIMPLEMENTED) throw error;
        this.#versions = this.#versions.slice(1);
        if (this.#versions.length > 0) continue;
        const hint = "the enclave offers no reflection: give --proto or --descriptor-set";
        throw new Error(hint, { cause: error });
      }
    }
  }

  async #askVersion(
    version: typeof ServerReflection,
    messageRequest: Question,
  ): Promise<Answer | undefined> {
    const { serverReflectionInfo: ask } = createClient(version, this.#channel);
    for await (const { messageResponse } of ask([{ messageRequest }], this.#callOptions())) {
      if (messageResponse.case !== "errorResponse") return messageResponse;
      const { errorCode, errorMessage } = messageResponse.value;
      if (errorCode === NOT_FOUND) return undefined;
      const name = Code[errorCode] ?? errorCode;
      throw new Error(`reflection answers ${name}: ${printable(errorMessage)}`);
    }
    throw new Error("reflection gives no answer");
  }
}

/** The same service under the package name that servers of before 2023 have. */
function ancientReflection(): typeof ServerReflection {
  const file = toJsonString(FileDescriptorProtoSchema, reflectionFile.proto);
  const proto = fromJsonString(
    FileDescriptorProtoSchema,
    file.replaceAll(/\bgrpc\.reflection\.v1\b/g, "grpc.reflection.v1alpha"),
  );
  const service = createFileRegistry(proto, () => undefined).getService(
    "grpc.reflection.v1alpha.ServerReflection",
  );
  if (service === undefined) throw new Error("unreachable");
  return service as typeof ServerReflection;
}
