/** Where a command learns of services and types. */
import { readFile } from "node:fs/promises";
import { fromBinary } from "@bufbuild/protobuf";
import type { Registry } from "@bufbuild/protobuf";
import { type FileDescriptorProto, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { registryOf } from "./descriptor-registry.ts";

export interface DescriptorSource {
  /** Full names of the services, sorted. */
  services(): Promise<readonly string[]>;
  /** What is known around a service, a message or an enum; undefined if it is nowhere. */
  registryFor(symbol: string): Promise<Registry | undefined>;
}

/** Files that say what descriptors are. */
export interface DescriptorFlags {
  readonly proto?: readonly string[];
  readonly importPath?: readonly string[];
  readonly descriptorSet?: readonly string[];
}

/** The descriptors in files; undefined when no file is named. */
export async function fileSource(flags: DescriptorFlags): Promise<DescriptorSource | undefined> {
  const { proto = [], importPath = [], descriptorSet = [] } = flags;
  if (proto.length === 0 && descriptorSet.length === 0) return undefined;
  const files: FileDescriptorProto[] = [];
  for (const name of descriptorSet) files.push(...(await readDescriptorSet(name)));
  if (proto.length > 0) {
    const { readProtoFiles } = await import("./proto-files.ts");
    files.push(...(await readProtoFiles(proto, importPath)));
  }
  const services = files.flatMap(({ package: scope, service }) =>
    service.map(({ name }) => (scope === "" ? name : `${scope}.${name}`)),
  );
  const registry = registryOf(files);
  return {
    services: async () => Promise.resolve(services.sort()),
    registryFor: async (symbol) =>
      Promise.resolve(registry.get(symbol) === undefined ? undefined : registry),
  };
}

async function readDescriptorSet(name: string): Promise<FileDescriptorProto[]> {
  const bytes = await readFile(name);
  try {
    return fromBinary(FileDescriptorSetSchema, bytes).file;
  } catch (error) {
    throw new Error(`${name}: no serialized FileDescriptorSet`, { cause: error });
  }
}
