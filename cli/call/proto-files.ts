/**
 * Descriptors from .proto files, without a compiler: protobufjs parses, and what messages need on the
 * wire and in JSON is taken over. Comments, default values and custom options are not.
 */
import { readFile } from "node:fs/promises";
import { isAbsolute, join, relative, resolve, sep } from "node:path";
import { create, fromJson } from "@bufbuild/protobuf";
import type { JsonValue, MessageInitShape } from "@bufbuild/protobuf";
import {
  Edition,
  FeatureSetSchema,
  FieldDescriptorProto_Label as Label,
  FieldDescriptorProto_Type as FieldType,
  FileDescriptorProtoSchema,
  MethodOptions_IdempotencyLevel as Idempotency,
} from "@bufbuild/protobuf/wkt";
import type {
  DescriptorProtoSchema,
  EnumDescriptorProtoSchema,
  FeatureSet,
  FieldDescriptorProtoSchema,
  FileDescriptorProto,
  ServiceDescriptorProtoSchema,
} from "@bufbuild/protobuf/wkt";
import protobuf from "protobufjs";
import { standardFiles } from "./descriptor-registry.ts";

/**
 * The files and everything that they import, which is looked for in `importPaths`, then in the
 * working folder.
 *
 * @throws Error for a file that is not there or is no .proto file.
 */
export async function readProtoFiles(
  files: readonly string[],
  importPaths: readonly string[],
): Promise<FileDescriptorProto[]> {
  const folders = [...importPaths, "."];
  const found = new Map<string, FileDescriptorProto>();
  const add = async (name: string, source: string | undefined): Promise<void> => {
    if (found.has(name)) return;
    if (source === undefined) {
      if (standardFiles.has(name)) return;
      throw new Error(`${name}: not found in ${folders.join(", ")}`);
    }
    const file = parseProto(name, source);
    found.set(name, file);
    for (const imported of file.dependency) {
      await add(imported, await readFirst(folders.map((folder) => join(folder, imported))));
    }
  };
  for (const file of files) {
    const paths = isAbsolute(file) ? [file] : [file, ...importPaths.map((dir) => join(dir, file))];
    await add(importName(file, folders), await readFirst(paths));
  }
  return [...found.values()];
}

/** The name that others import a file by: its place in the folder that imports begin in. */
function importName(file: string, folders: readonly string[]): string {
  const names = folders
    .map((folder) => relative(resolve(folder), resolve(file)))
    .filter((name) => !name.startsWith("..") && !isAbsolute(name));
  return (names[0] ?? file).split(sep).join("/");
}

async function readFirst(paths: readonly string[]): Promise<string | undefined> {
  for (const path of paths) {
    try {
      return await readFile(path, "utf8");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    }
  }
  return undefined;
}

/** The descriptor of one file, with names as they are written in it. */
function parseProto(name: string, source: string): FileDescriptorProto {
  const root = new protobuf.Root();
  // For what its errors say.
  (protobuf.parse as { filename?: string }).filename = name;
  const parsed = protobuf.parse(source, root, { keepCase: true });
  const scope: protobuf.NamespaceBase =
    parsed.package === undefined ? root : root.define(parsed.package);
  return create(FileDescriptorProtoSchema, {
    name,
    package: parsed.package ?? "",
    dependency: [...(parsed.imports ?? []), ...(parsed.weakImports ?? [])],
    ...syntaxOf(scope),
    ...namespaceOf(scope),
    service: scope.nestedArray.filter((each) => each instanceof protobuf.Service).map(serviceOf),
  });
}

/** Each object at the top of a file knows the file's syntax; none is said for proto3. */
function syntaxOf({ nestedArray: [first] }: protobuf.NamespaceBase): {
  syntax: string;
  edition?: Edition;
} {
  const edition = first?._editionToJSON() ?? "proto3";
  return edition === "2023"
    ? { syntax: "editions", edition: Edition.EDITION_2023 }
    : { syntax: edition };
}

type MessageInit = MessageInitShape<typeof DescriptorProtoSchema>;
type FieldInit = MessageInitShape<typeof FieldDescriptorProtoSchema>;
type EnumInit = MessageInitShape<typeof EnumDescriptorProtoSchema>;
type ServiceInit = MessageInitShape<typeof ServiceDescriptorProtoSchema>;

/** What files and messages alike contain. */
function namespaceOf({ nestedArray }: protobuf.NamespaceBase): {
  messageType: MessageInit[];
  enumType: EnumInit[];
  extension: FieldInit[];
} {
  return {
    messageType: nestedArray.filter((each) => each instanceof protobuf.Type).map(messageOf),
    enumType: nestedArray.filter((each) => each instanceof protobuf.Enum).map(enumOf),
    extension: nestedArray
      .filter((each) => each instanceof protobuf.Field)
      .map((each) => fieldOf(each, [])),
  };
}

function messageOf(type: protobuf.Type): MessageInit {
  const { messageType, enumType, extension } = namespaceOf(type);
  // Extensions that the parser puts into the message that they extend are none of its fields.
  const fields = type.fieldsArray.filter(({ declaringField }) => declaringField === null);
  const oneofs = type.oneofsArray.map(({ name }) => name);
  return {
    name: type.name,
    field: fields.map((field) => fieldOf(field, oneofs)),
    nestedType: [
      ...messageType,
      ...fields.filter((each) => each instanceof protobuf.MapField).map(entryOf),
    ],
    enumType,
    extension,
    oneofDecl: oneofs.map((name) => ({ name })),
    options: { ...featuresOf(type) },
  };
}

function fieldOf(field: protobuf.Field, oneofs: readonly string[]): FieldInit {
  const { packed, json_name: jsonName } = field.options ?? {};
  const { rule } = field.toJSON();
  const isGroup = isGroupField(field);
  return {
    // The field of a group is named like its type.
    name: isGroup ? field.type.toLowerCase() : field.name,
    number: field.id,
    label:
      rule === "repeated" || field instanceof protobuf.MapField
        ? Label.REPEATED
        : rule === "required"
          ? Label.REQUIRED
          : Label.OPTIONAL,
    ...(field instanceof protobuf.MapField
      ? { typeName: entryName(field.name) }
      : typeOf(field.type)),
    ...(isGroup ? { type: FieldType.GROUP } : {}),
    ...(field.extend === undefined ? {} : { extendee: field.extend }),
    ...(typeof jsonName === "string" ? { jsonName } : {}),
    ...(field.partOf === null ? {} : { oneofIndex: oneofs.indexOf(field.partOf.name) }),
    proto3Optional: isOptional(field),
    options: { ...(typeof packed === "boolean" ? { packed } : {}), ...featuresOf(field) },
  };
}

/** A scalar type, or the name of a type whose kind is not known yet. */
function typeOf(type: string): { type: FieldType } | { typeName: string } {
  const scalar = FieldType[type.toUpperCase() as keyof typeof FieldType];
  return scalar === undefined || type !== type.toLowerCase()
    ? { typeName: type }
    : { type: scalar };
}

/** A map is a repeated message of keys and values on the wire. */
function entryOf(field: protobuf.MapField): MessageInit {
  return {
    name: entryName(field.name),
    field: [
      { name: "key", number: 1, label: Label.OPTIONAL, ...typeOf(field.keyType) },
      { name: "value", number: 2, label: Label.OPTIONAL, ...typeOf(field.type) },
    ],
    options: { mapEntry: true },
  };
}

function entryName(field: string): string {
  return `${field.replaceAll(/(?:^|_)([a-z]?)/g, (_, letter: string) => letter.toUpperCase())}Entry`;
}

function enumOf({ name, values, ...object }: protobuf.Enum): EnumInit {
  return {
    name,
    value: Object.entries(values).map(([value, number]) => ({ name: value, number })),
    options: { ...featuresOf(object) },
  };
}

function serviceOf({ name, methodsArray }: protobuf.Service): ServiceInit {
  return { name, method: methodsArray.map(methodOf) };
}

function methodOf(method: protobuf.Method): NonNullable<ServiceInit["method"]>[number] {
  const level: unknown = method.options?.["idempotency_level"];
  return {
    name: method.name,
    inputType: method.requestType,
    outputType: method.responseType,
    clientStreaming: method.requestStream === true,
    serverStreaming: method.responseStream === true,
    options: {
      idempotencyLevel:
        Idempotency[level as keyof typeof Idempotency] ?? Idempotency.IDEMPOTENCY_UNKNOWN,
    },
  };
}

/** The features that are set on an object; what it inherits is for the registry. */
function featuresOf({ options }: Pick<protobuf.ReflectionObject, "options">): {
  features?: FeatureSet;
} {
  const features = options?.["features"] as JsonValue | undefined;
  if (features === undefined) return {};
  return { features: fromJson(FeatureSetSchema, features, { ignoreUnknownFields: true }) };
}

function isOptional(field: protobuf.Field): boolean {
  return field.options?.["proto3_optional"] === true;
}

function isGroupField({ parent, type }: protobuf.Field): boolean {
  const nested = parent instanceof protobuf.Type ? parent.nested?.[type] : undefined;
  return nested instanceof protobuf.Type && nested.toJSON().group === true;
}
