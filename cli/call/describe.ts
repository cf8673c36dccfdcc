/** Services, methods and types, in the words of .proto files with every type's full name. */
import { ScalarType } from "@bufbuild/protobuf";
import type { AnyDesc, DescField, DescMethod } from "@bufbuild/protobuf";
import { FeatureSet_FieldPresence as Presence } from "@bufbuild/protobuf/wkt";
import { printable } from "../facts.ts";

/** The text for a descriptor, each line ended. */
export function describe(desc: AnyDesc): string {
  return textOf(desc).split("\n").map(printable).join("\n");
}

function textOf(desc: AnyDesc): string {
  switch (desc.kind) {
    case "service":
      return block(`service ${desc.typeName}`, desc.methods.map(methodLine));
    case "rpc":
      return `${methodLine(desc)}\n`;
    case "message":
      return block(
        `message ${desc.typeName}`,
        desc.members.flatMap((member) =>
          member.kind === "field"
            ? [fieldLine(member)]
            : block(`oneof ${member.name}`, member.fields.map(fieldLine)).trimEnd().split("\n"),
        ),
      );
    case "enum":
      return block(
        `enum ${desc.typeName}`,
        desc.values.map(({ name, number }) => `${name} = ${number};`),
      );
    default:
      return `${String(desc)}\n`;
  }
}

function block(head: string, lines: readonly string[]): string {
  return lines.length === 0
    ? `${head} {}\n`
    : `${head} {\n${lines.map((line) => `  ${line}\n`).join("")}}\n`;
}

function methodLine({ name, input, output, methodKind }: DescMethod): string {
  const takesStream = methodKind === "client_streaming" || methodKind === "bidi_streaming";
  const givesStream = methodKind === "server_streaming" || methodKind === "bidi_streaming";
  const request = `${takesStream ? "stream " : ""}${input.typeName}`;
  const response = `${givesStream ? "stream " : ""}${output.typeName}`;
  return `rpc ${name}(${request}) returns (${response});`;
}

function fieldLine(field: DescField): string {
  return `${labelOf(field)}${typeOf(field)} ${field.name} = ${field.number};`;
}

function labelOf(field: DescField): string {
  if (field.fieldKind === "list") return "repeated ";
  if (field.presence === Presence.LEGACY_REQUIRED) return "required ";
  const isPlain = field.fieldKind === "scalar" || field.fieldKind === "enum";
  const isExplicit = field.presence === Presence.EXPLICIT && field.oneof === undefined;
  return isPlain && isExplicit ? "optional " : "";
}

function typeOf(field: DescField): string {
  const named = field.message?.typeName ?? field.enum?.typeName;
  const element = named ?? (field.scalar === undefined ? "" : scalarName(field.scalar));
  return field.fieldKind === "map" ? `map<${scalarName(field.mapKey)}, ${element}>` : element;
}

function scalarName(scalar: ScalarType): string {
  return ScalarType[scalar].toLowerCase();
}
