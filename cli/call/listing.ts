/** `list` and `describe`: which services there are, and what they and their messages look like. */
import { type AnyDesc, type JsonValue, toJson } from "@bufbuild/protobuf";
import {
  DescriptorProtoSchema,
  EnumDescriptorProtoSchema,
  MethodDescriptorProtoSchema,
  ServiceDescriptorProtoSchema,
} from "@bufbuild/protobuf/wkt";
import { formatDocument, printable } from "../facts.ts";
import { describe } from "./describe.ts";
import type { DescriptorSource } from "./descriptor-source.ts";
import { findService, findSymbol, unknownService } from "./lookup.ts";

/** Prints the names of all services, or of the methods of one. */
export async function printNames(
  source: DescriptorSource,
  service: string | undefined,
  asJson: boolean,
): Promise<void> {
  const names = service === undefined ? await source.services() : await methodsOf(source, service);
  process.stdout.write(
    asJson ? formatDocument(names) : names.map((name) => `${printable(name)}\n`).join(""),
  );
}

/** Prints what a symbol stands for, or every service. */
export async function printDescriptions(
  source: DescriptorSource,
  symbol: string | undefined,
  asJson: boolean,
): Promise<void> {
  const symbols = symbol === undefined ? await source.services() : [symbol];
  const found: AnyDesc[] = [];
  for (const name of symbols) found.push((await findSymbol(source, name)).desc);
  process.stdout.write(
    found
      .map((desc) => (asJson ? formatDocument(descriptorJson(desc)) : describe(desc)))
      .join("\n"),
  );
}

async function methodsOf(source: DescriptorSource, name: string): Promise<readonly string[]> {
  const found = await findService(source, name);
  if (found === undefined) throw await unknownService(source, name);
  return found.desc.methods.map((method) => `${name}/${method.name}`);
}

function descriptorJson(desc: AnyDesc): JsonValue {
  switch (desc.kind) {
    case "service":
      return toJson(ServiceDescriptorProtoSchema, desc.proto);
    case "rpc":
      return toJson(MethodDescriptorProtoSchema, desc.proto);
    case "message":
      return toJson(DescriptorProtoSchema, desc.proto);
    case "enum":
      return toJson(EnumDescriptorProtoSchema, desc.proto);
    default:
      return String(desc);
  }
}
