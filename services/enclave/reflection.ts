/** Server reflection, inside the seal; its library is loaded only when it is asked for. */
import { toBinary } from "@bufbuild/protobuf";
import type { DescFile, DescService } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import type { ServiceDefinition } from "@grpc/grpc-js";

/** A service and its handlers, as grpc-js servers take them. */
export type AddService = (service: ServiceDefinition, handlers: object) => void;

/** What reflection tells: files of services, and the names of those that are offered. */
export class ReflectedServices {
  readonly #files = new Map<string, Buffer>();
  readonly #serialized: Buffer[] = [];

  /** A service of a protobuf-es descriptor, with its file and all imports. */
  addDescriptor(service: DescService): void {
    this.#addFile(service.file);
  }

  /** A grpc-js service whose definition carries its files, as those of proto-loader do. */
  addDefinition(service: ServiceDefinition): void {
    for (const method of Object.values(service)) {
      const { requestType, responseType } = method as {
        requestType?: { fileDescriptorProtos?: Buffer[] };
        responseType?: { fileDescriptorProtos?: Buffer[] };
      };
      this.#serialized.push(...(requestType?.fileDescriptorProtos ?? []));
      this.#serialized.push(...(responseType?.fileDescriptorProtos ?? []));
    }
  }

  /** Offers the reflection services, versions v1 and v1alpha. */
  async offer(addService: AddService): Promise<void> {
    const { ReflectionService } = await import("@grpc/reflection");
    const fileDescriptorProtos = [...new Set([...this.#files.values(), ...this.#serialized])];
    // Of a package, it reads nothing but the files that the definitions in it carry.
    const packaged = { files: { fileDescriptorProtos } } as unknown as ConstructorParameters<
      typeof ReflectionService
    >[0];
    new ReflectionService(packaged).addToServer({ addService });
  }

  #addFile(file: DescFile): void {
    if (this.#files.has(file.name)) return;
    this.#files.set(file.name, Buffer.from(toBinary(FileDescriptorProtoSchema, file.proto)));
    for (const dependency of file.dependencies) this.#addFile(dependency);
  }
}
