/**
 * One registry of descriptor files, wherever they came from. Servers and parsers leave things out
 * that a compiler would have written: names relative to where they stand, imports, JSON names. They
 * are filled in here, and files are put in the order of what they need.
 */
import { createFileRegistry, create } from "@bufbuild/protobuf";
import type { DescFile, FileRegistry } from "@bufbuild/protobuf";
import { protoCamelCase } from "@bufbuild/protobuf/reflect";
import * as wellKnown from "@bufbuild/protobuf/wkt";
import type {
  DescriptorProto,
  FieldDescriptorProto,
  FileDescriptorProto,
} from "@bufbuild/protobuf/wkt";

const { FieldDescriptorProto_Type: Type } = wellKnown;

/** Files that come with every compiler, by the name that they are imported by. */
export const standardFiles: ReadonlyMap<string, FileDescriptorProto> = new Map(
  Object.values(wellKnown)
    .filter(isFile)
    .map(({ proto }) => [proto.name, proto]),
);

/**
 * The registry of `files`, with those that come with every compiler.
 *
 * @throws Error when a type is nowhere, or files need each other.
 */
export function registryOf(files: Iterable<FileDescriptorProto>): FileRegistry {
  const all = new Map(standardFiles);
  for (const file of files) all.set(file.name, file);
  const symbols = new Symbols();
  for (const file of all.values()) symbols.add(file);
  const ordered: FileDescriptorProto[] = [];
  const state = new Map<string, "open" | "done">();
  const visit = (file: FileDescriptorProto): void => {
    if (state.get(file.name) === "done") return;
    if (state.get(file.name) === "open") throw new Error(`${file.name} needs itself`);
    state.set(file.name, "open");
    const needed = completeFile(file, symbols);
    file.dependency = [...new Set([...file.dependency.filter((name) => all.has(name)), ...needed])];
    for (const name of file.dependency) {
      const dependency = all.get(name);
      if (dependency !== undefined) visit(dependency);
    }
    state.set(file.name, "done");
    ordered.push(file);
  };
  for (const file of all.values()) visit(file);
  return createFileRegistry(create(wellKnown.FileDescriptorSetSchema, { file: ordered }));
}

interface Found {
  /** Without a leading dot. */
  readonly name: string;
  readonly kind: "message" | "enum";
  readonly file: string;
}

/** Every message and enum, by full name. */
class Symbols {
  readonly #all = new Map<string, Found>();

  add(file: FileDescriptorProto): void {
    this.#addAll(file.name, file.package, file.messageType, file.enumType);
  }

  /** The type that `name` means where `scope` is the innermost message or package. */
  find(name: string, scope: string): Found {
    if (name.startsWith(".")) {
      const found = this.#all.get(name.slice(1));
      if (found !== undefined) return found;
    } else {
      for (let outer = scope; ; outer = outer.slice(0, Math.max(0, outer.lastIndexOf(".")))) {
        const found = this.#all.get(joined(outer, name));
        if (found !== undefined) return found;
        if (outer === "") break;
      }
    }
    throw new Error(`${scope === "" ? "a file" : scope} uses ${name}, which no file defines`);
  }

  #addAll(
    file: string,
    scope: string,
    messages: readonly DescriptorProto[],
    enums: readonly { readonly name: string }[],
  ): void {
    for (const { name } of enums) this.#add({ name: joined(scope, name), kind: "enum", file });
    for (const { name, nestedType, enumType } of messages) {
      const full = joined(scope, name);
      this.#add({ name: full, kind: "message", file });
      this.#addAll(file, full, nestedType, enumType);
    }
  }

  #add(found: Found): void {
    this.#all.set(found.name, found);
  }
}

/** Fills in what is missing in `file`; gives the names of the other files that it needs. */
function completeFile(file: FileDescriptorProto, symbols: Symbols): ReadonlySet<string> {
  const needed = new Set<string>();
  const find = (name: string, scope: string): Found => {
    const found = symbols.find(name, scope);
    if (found.file !== file.name) needed.add(found.file);
    return found;
  };
  const completeField = (field: FieldDescriptorProto, scope: string): void => {
    if (field.jsonName === "") field.jsonName = protoCamelCase(field.name);
    if (field.extendee !== "") field.extendee = `.${find(field.extendee, scope).name}`;
    if (field.typeName === "") return;
    const { name, kind } = find(field.typeName, scope);
    field.typeName = `.${name}`;
    if (field.type !== Type.GROUP) field.type = kind === "enum" ? Type.ENUM : Type.MESSAGE;
  };
  const completeMessage = (message: DescriptorProto, outer: string): void => {
    const scope = joined(outer, message.name);
    for (const field of message.field) completeField(field, scope);
    for (const field of message.extension) completeField(field, scope);
    for (const nested of message.nestedType) completeMessage(nested, scope);
  };
  for (const message of file.messageType) completeMessage(message, file.package);
  for (const field of file.extension) completeField(field, file.package);
  for (const { name, method } of file.service) {
    for (const each of method) {
      const scope = joined(file.package, name);
      each.inputType = `.${find(each.inputType, scope).name}`;
      each.outputType = `.${find(each.outputType, scope).name}`;
    }
  }
  return needed;
}

function joined(scope: string, name: string): string {
  return scope === "" ? name : `${scope}.${name}`;
}

function isFile(value: unknown): value is DescFile {
  return typeof value === "object" && value !== null && "kind" in value && value.kind === "file";
}
