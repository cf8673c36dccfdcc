/**
 * Typed clients from protobuf-es descriptors: promises where one message comes back, async iterables
 * where many do.
 */
import type {
  DescMessage,
  DescMethod,
  DescMethodBiDiStreaming,
  DescMethodClientStreaming,
  DescMethodServerStreaming,
  DescMethodUnary,
  DescService,
  MessageInitShape,
  MessageShape,
} from "@bufbuild/protobuf";

import { serviceDefinition } from "../grpc/service-definition.ts";
import type { MethodDefinition } from "../grpc/service-definition.ts";
import { hostOf } from "./attested-channel.ts";
import type { AttestedChannel } from "./attested-channel.ts";
import { SingleReply, replies } from "./replies.ts";
import { sendAll } from "./requests.ts";
import type { Requests } from "./requests.ts";
import { TypedCall } from "./typed-call.ts";
import type { CallOptions, TypedMethod } from "./typed-call.ts";

type ClientMethod<Method extends DescMethod> =
  Method extends DescMethodUnary<infer Input, infer Output>
    ? (request: MessageInitShape<Input>, options?: CallOptions) => Promise<MessageShape<Output>>
    : Method extends DescMethodClientStreaming<infer Input, infer Output>
      ? (
          requests: Requests<MessageInitShape<Input>>,
          options?: CallOptions,
        ) => Promise<MessageShape<Output>>
      : Method extends DescMethodServerStreaming<infer Input, infer Output>
        ? (
            request: MessageInitShape<Input>,
            options?: CallOptions,
          ) => AsyncIterable<MessageShape<Output>>
        : Method extends DescMethodBiDiStreaming<infer Input, infer Output>
          ? (
              requests: Requests<MessageInitShape<Input>>,
              options?: CallOptions,
            ) => AsyncIterable<MessageShape<Output>>
          : never;

/** A client of a service: one function for each method, under its local name. */
export type Client<Service extends DescService> = {
  readonly [Name in keyof Service["method"]]: ClientMethod<Service["method"][Name]>;
};

/**
 * Makes a client of `service` on `channel`. Calls end with `CallError`; a stream of answers starts
 * when it is iterated, and is cancelled when iteration stops early.
 *
 * @throws TypeError for a channel that is not an AttestedChannel.
 */
export function createClient<Service extends DescService>(
  service: Service,
  channel: AttestedChannel,
): Client<Service> {
  const host = hostOf(channel);
  const definitions: Record<string, AnyDefinition> = serviceDefinition(service);
  const client: Record<string, unknown> = {};
  for (const { localName, methodKind } of service.methods) {
    const definition = definitions[localName];
    if (definition === undefined) continue;
    const { path, options, requestSerialize, responseDeserialize } = definition;
    const idempotent = options.idempotencyLevel !== undefined || host.isIdempotent(path);
    const serialize = requestSerialize;
    const method = { host, path, idempotent, serialize, deserialize: responseDeserialize };
    client[localName] = functionOf(method, methodKind);
  }
  return client as Client<Service>;
}

type AnyDefinition = MethodDefinition<DescMessage, DescMessage, boolean, boolean>;
type Request = MessageInitShape<DescMessage>;
type Reply = MessageShape<DescMessage>;

function functionOf(method: TypedMethod, kind: DescMethod["methodKind"]): unknown {
  switch (kind) {
    case "unary":
      return async (request: Request, options?: CallOptions) =>
        new Promise<Reply>((resolve, reject) => {
          const bytes = method.serialize(request);
          const call = new TypedCall(method, options, new SingleReply(resolve, reject));
          call.start();
          call.send(bytes);
          call.halfClose();
          call.read();
        });
    case "client_streaming":
      return async (requests: Requests<Request>, options?: CallOptions) =>
        new Promise<Reply>((resolve, reject) => {
          const call = new TypedCall(method, options, new SingleReply(resolve, reject));
          call.start();
          call.read();
          void sendAll(call, method, requests);
        });
    case "server_streaming":
      return (request: Request, options?: CallOptions) => {
        const bytes = method.serialize(request);
        return replies<Reply>((receiver) => {
          const call = new TypedCall(method, options, receiver);
          call.start();
          call.send(bytes);
          call.halfClose();
          return call;
        });
      };
    case "bidi_streaming":
      return (requests: Requests<Request>, options?: CallOptions) =>
        replies<Reply>((receiver) => {
          const call = new TypedCall(method, options, receiver);
          call.start();
          void sendAll(call, method, requests);
          return call;
        });
  }
  return kind satisfies never;
}
