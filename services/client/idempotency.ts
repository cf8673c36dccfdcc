/** Which methods may run twice without harm, as their services declare (docs/protocol.md §10). */
import type { DescService } from "@bufbuild/protobuf";

import { serviceDefinition } from "../grpc/service-definition.ts";

/**
 * A grpc-js service definition: what `serviceDefinition` gives, or a loader that keeps the method
 * options of the .proto file.
 */
export interface IdempotencySource {
  readonly [name: string]: {
    readonly path: string;
    readonly options?: object | undefined;
  };
}

/** The paths of the methods that `services` declare free of side effects, or idempotent. */
export function idempotentMethods(
  services: readonly (DescService | IdempotencySource)[],
): Set<string> {
  const paths = new Set<string>();
  for (const service of services) {
    const definition: IdempotencySource = isDescriptor(service)
      ? serviceDefinition(service)
      : service;
    for (const { path, options } of Object.values(definition)) {
      if (typeof path !== "string") throw new TypeError("services: expected service definitions");
      if (declaresIdempotency(options ?? {})) paths.add(path);
    }
  }
  return paths;
}

function isDescriptor(service: DescService | IdempotencySource): service is DescService {
  return "kind" in service && service.kind === "service";
}

/** Loaders write the name of the option in either case, and its value by name or by number. */
function declaresIdempotency(options: object): boolean {
  const { idempotencyLevel, idempotency_level } = options as Record<string, unknown>;
  const level = idempotencyLevel ?? idempotency_level;
  return level === "NO_SIDE_EFFECTS" || level === "IDEMPOTENT" || level === 1 || level === 2;
}
