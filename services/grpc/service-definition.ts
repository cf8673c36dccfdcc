/**
 * Turns a protobuf-es service descriptor into the service definition that grpc-js servers and
 * clients take. The types are structural: what is sent takes the init shape of a message, what
 * arrives has its full shape, and whether a side streams is known to the compiler.
 */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type {
  DescMessage,
  DescMethod,
  DescService,
  MessageInitShape,
  MessageShape,
} from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";

/** One method; grpc-js and nice-grpc accept it as theirs. */
export interface MethodDefinition<
  Input extends DescMessage,
  Output extends DescMessage,
  RequestStream extends boolean,
  ResponseStream extends boolean,
> {
  /** "/package.Service/Method" */
  readonly path: string;
  readonly originalName: string;
  readonly requestStream: RequestStream;
  readonly responseStream: ResponseStream;
  readonly requestSerialize: (value: MessageInitShape<Input>) => Buffer;
  readonly requestDeserialize: (bytes: Uint8Array) => MessageShape<Input>;
  readonly responseSerialize: (value: MessageInitShape<Output>) => Buffer;
  readonly responseDeserialize: (bytes: Uint8Array) => MessageShape<Output>;
  readonly options: { readonly idempotencyLevel?: "NO_SIDE_EFFECTS" | "IDEMPOTENT" };
}

type Definition<Method extends DescMethod> = MethodDefinition<
  Method["input"],
  Method["output"],
  Method["methodKind"] extends "client_streaming" | "bidi_streaming" ? true : false,
  Method["methodKind"] extends "server_streaming" | "bidi_streaming" ? true : false
>;

/** All methods of a service, under their local (camel case) names. */
export type ServiceDefinition<Service extends DescService> = {
  readonly [Name in keyof Service["method"]]: Definition<Service["method"][Name]>;
};

/** Makes the definition of `service`, with every method under its local name. */
export function serviceDefinition<Service extends DescService>(
  service: Service,
): ServiceDefinition<Service> {
  const definition: Record<string, unknown> = {};
  for (const method of service.methods) definition[method.localName] = methodDefinition(method);
  return definition as ServiceDefinition<Service>;
}

function methodDefinition(
  method: DescMethod,
): MethodDefinition<DescMessage, DescMessage, boolean, boolean> {
  const kind = method.methodKind;
  return {
    path: `/${method.parent.typeName}/${method.name}`,
    originalName: method.name,
    requestStream: kind === "client_streaming" || kind === "bidi_streaming",
    responseStream: kind === "server_streaming" || kind === "bidi_streaming",
    requestSerialize: serializer(method.input),
    requestDeserialize: (bytes) => fromBinary(method.input, bytes),
    responseSerialize: serializer(method.output),
    responseDeserialize: (bytes) => fromBinary(method.output, bytes),
    options: idempotency(method),
  };
}

function serializer(schema: DescMessage): (value: Record<string, unknown>) => Buffer {
  return (value: unknown) => {
    requireMessage(schema, value);
    const bytes = toBinary(schema, create(schema, value));
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  };
}

/**
 * `create` makes an empty message of undefined, of a promise, and of another type's message, so a
 * forgotten answer would become an empty one with status OK.
 */
function requireMessage(
  schema: DescMessage,
  value: unknown,
): asserts value is Record<string, unknown> {
  if (typeof value === "object" && value !== null) {
    const typeName: unknown = (value as Record<string, unknown>)["$typeName"];
    if (typeName === schema.typeName) return;
    if (typeName === undefined && isPlainObject(value)) return;
  }
  throw new TypeError(`expected a ${schema.typeName} or its plain init object`);
}

/** Also of another realm, where Object.prototype is another object. */
function isPlainObject(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === null || prototype === Object.prototype) return true;
  return !Array.isArray(value) && Object.getPrototypeOf(prototype) === null;
}

function idempotency(method: DescMethod): {
  idempotencyLevel?: "NO_SIDE_EFFECTS" | "IDEMPOTENT";
} {
  switch (method.idempotency) {
    case MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS:
      return { idempotencyLevel: "NO_SIDE_EFFECTS" };
    case MethodOptions_IdempotencyLevel.IDEMPOTENT:
      return { idempotencyLevel: "IDEMPOTENT" };
    default:
      return {};
  }
}
