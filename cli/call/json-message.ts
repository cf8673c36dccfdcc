/** Messages of any type as JSON, protobuf's canonical mapping, in and out. */
import { createMutableRegistry, fromBinary, fromJson, toBinary, toJson } from "@bufbuild/protobuf";
import type { DescMessage, JsonValue, MutableRegistry, Registry } from "@bufbuild/protobuf";
import { formatDocument } from "../facts.ts";
import { Misuse } from "../misuse.ts";

/** Finds the descriptor of a type that stands in a google.protobuf.Any. */
export type FindType = (typeName: string) => Promise<DescMessage | undefined>;

export class JsonMessages {
  readonly #types: MutableRegistry;
  readonly #findType: FindType;
  readonly #emitDefaults: boolean;

  /** `emitDefaults`: print fields without presence also when they have their default value. */
  constructor(registry: Registry, findType: FindType, emitDefaults: boolean) {
    this.#types = createMutableRegistry(registry);
    this.#findType = findType;
    this.#emitDefaults = emitDefaults;
  }

  /**
   * The bytes of the message that `text` describes.
   *
   * @throws Misuse for text that is no JSON, or no such message.
   */
  async encode(type: DescMessage, text: string): Promise<Uint8Array> {
    const message = await this.#withTypes((registry) => {
      try {
        return fromJson(type, parseJson(text), { registry });
      } catch (error) {
        throw new Misuse(`${(error as Error).message} (in ${excerpt(text)})`, { cause: error });
      }
    });
    return toBinary(type, message);
  }

  /**
   * An indented document for the message.
   *
   * @throws Error for bytes that are no such message, and for an Any of an unknown type.
   */
  async format(type: DescMessage, bytes: Uint8Array): Promise<string> {
    return formatDocument(await this.decode(type, bytes));
  }

  /** The message as JSON; throws as `format` does. */
  async decode(type: DescMessage, bytes: Uint8Array): Promise<JsonValue> {
    const message = fromBinary(type, bytes);
    return this.#withTypes((registry) =>
      toJson(type, message, { registry, alwaysEmitImplicit: this.#emitDefaults }),
    );
  }

  /** Tries until no type is missing that can be found. */
  async #withTypes<Result>(attempt: (registry: Registry) => Result): Promise<Result> {
    for (;;) {
      let missing: string | undefined;
      const known = this.#types;
      const registry: Registry = Object.assign({}, known, {
        getMessage: (name: string) => {
          const type = known.getMessage(name);
          if (type === undefined) missing = name;
          return type;
        },
      });
      try {
        return attempt(registry);
      } catch (error) {
        const found = missing === undefined ? undefined : await this.#findType(missing);
        if (found === undefined) throw error;
        known.add(found);
      }
    }
  }
}

/** Numbers that JavaScript would round are refused, not rounded. */
function parseJson(text: string): JsonValue {
  const json = JSON.parse(text) as JsonValue;
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*/g)) {
    if (/^-?\d+$/.test(token) && !Number.isSafeInteger(Number(token))) {
      throw new SyntaxError(`${token} has too many digits: write it in quotes`);
    }
  }
  return json;
}

function excerpt(text: string): string {
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}
