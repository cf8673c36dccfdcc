/** The service that the behaviour suite drives, as a grpc-js definition and a typed stub. */
import {
  create,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  toBinary,
} from "@bufbuild/protobuf";
import * as grpc from "@grpc/grpc-js";
import {
  BehaviorService,
  type ChatRequestSchema,
  type ChatResponse,
  type CollectRequestSchema,
  type CollectResponse,
  type ExpandRequestSchema,
  type ExpandResponse,
  type MissingRequestSchema,
  type MissingResponse,
  type PayloadSchema,
  type UnaryRequestSchema,
  type UnaryResponse,
} from "#gen/behavior/v1/behavior_pb.js";

/** A payload as a test writes it: only the fields that matter. */
export type PayloadInit = MessageInitShape<typeof PayloadSchema>;

/** The definition that both the plain server and the enclave server take. */
export const behaviorDefinition: grpc.ServiceDefinition = Object.fromEntries(
  BehaviorService.methods.map((method) => [
    method.localName,
    {
      path: `/${BehaviorService.typeName}/${method.name}`,
      requestStream:
        method.methodKind === "client_streaming" || method.methodKind === "bidi_streaming",
      responseStream:
        method.methodKind === "server_streaming" || method.methodKind === "bidi_streaming",
      requestSerialize: (value: Init<DescMessage>) =>
        Buffer.from(toBinary(method.input, create(method.input, value))),
      requestDeserialize: (bytes: Buffer) => fromBinary(method.input, bytes),
      responseSerialize: (value: Init<DescMessage>) =>
        Buffer.from(toBinary(method.output, create(method.output, value))),
      responseDeserialize: (bytes: Buffer) => fromBinary(method.output, bytes),
    },
  ]),
);

type Init<T extends Parameters<typeof create>[0]> = MessageInitShape<T>;

/** A grpc-js stub, exactly as generated ones are shaped; every argument is given. */
export interface BehaviorClient extends grpc.Client {
  unary(
    request: Init<typeof UnaryRequestSchema>,
    metadata: grpc.Metadata,
    options: grpc.CallOptions,
    callback: grpc.requestCallback<UnaryResponse>,
  ): grpc.ClientUnaryCall;
  collect(
    metadata: grpc.Metadata,
    options: grpc.CallOptions,
    callback: grpc.requestCallback<CollectResponse>,
  ): grpc.ClientWritableStream<Init<typeof CollectRequestSchema>>;
  expand(
    request: Init<typeof ExpandRequestSchema>,
    metadata: grpc.Metadata,
    options: grpc.CallOptions,
  ): grpc.ClientReadableStream<ExpandResponse>;
  chat(
    metadata: grpc.Metadata,
    options: grpc.CallOptions,
  ): grpc.ClientDuplexStream<Init<typeof ChatRequestSchema>, ChatResponse>;
  missing(
    request: Init<typeof MissingRequestSchema>,
    metadata: grpc.Metadata,
    options: grpc.CallOptions,
    callback: grpc.requestCallback<MissingResponse>,
  ): grpc.ClientUnaryCall;
}

/** The constructor that grpc-js makes of the definition, with the stub's types. */
export const BehaviorClient = grpc.makeGenericClientConstructor(
  behaviorDefinition,
  "BehaviorService",
) as unknown as new (
  address: string,
  credentials: grpc.ChannelCredentials,
  options?: grpc.ClientOptions,
) => BehaviorClient;
