/** The service that the behaviour suite drives, as a grpc-js definition and a typed stub. */
import type { DescMessage, MessageInitShape } from "@bufbuild/protobuf";
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
import {
  type ServiceDefinition,
  serviceDefinition,
} from "../../services/grpc/service-definition.ts";

/** The largest message that both ends of every way receive. */
export const MESSAGE_LIMIT_BYTES: number = 12 << 20;

/** A payload as a test writes it: only the fields that matter. */
export type PayloadInit = MessageInitShape<typeof PayloadSchema>;

/** The definition that both the plain server and the enclave server take. */
export const behaviorDefinition: ServiceDefinition<typeof BehaviorService> =
  serviceDefinition(BehaviorService);

type Init<T extends DescMessage> = MessageInitShape<T>;

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

/** Options of a client without a channel of ours: on a connection of its own, found again soon. */
export function plainOptions(interceptors: readonly grpc.Interceptor[] = []): grpc.ClientOptions {
  return {
    interceptors: [...interceptors],
    "grpc.max_receive_message_length": MESSAGE_LIMIT_BYTES,
    "grpc.use_local_subchannel_pool": 1,
    "grpc.initial_reconnect_backoff_ms": 100,
    "grpc.max_reconnect_backoff_ms": 200,
  };
}
