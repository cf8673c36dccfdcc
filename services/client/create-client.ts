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
import { status as Code } from "@grpc/grpc-js";

import { hostOf } from "./attested-channel.ts";
import type { AttestedChannel } from "./attested-channel.ts";
import { SingleReply, replies } from "./replies.ts";
import { TypedCall, encodeMessage } from "./typed-call.ts";
import type { CallOptions } from "./typed-call.ts";

/** Request messages, which are asked for as fast as the enclave takes them. */
export type Requests<Message> = AsyncIterable<Message> | Iterable<Message>;

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
  const client: Record<string, unknown> = {};
  for (const method of service.methods) client[method.localName] = functionOf(host, method);
  return client as Client<Service>;
}

type Host = ReturnType<typeof hostOf>;
type Request = MessageInitShape<DescMessage>;
type Reply = MessageShape<DescMessage>;

function functionOf(host: Host, method: DescMethod): unknown {
  const idempotent = method.idempotency !== 0;
  const path = `/${method.parent.typeName}/${method.name}`;
  const typed = { host, method, path, idempotent: idempotent || host.isIdempotent(path) };
  switch (method.methodKind) {
    case "unary":
      return (request: Request, options?: CallOptions) =>
        new Promise<Reply>((resolve, reject) => {
          const bytes = encodeMessage(method.input, request);
          const call = new TypedCall(typed, options, new SingleReply(resolve, reject));
          call.start();
          call.send(bytes);
          call.halfClose();
          call.read();
        });
    case "client_streaming":
      return (requests: Requests<Request>, options?: CallOptions) =>
        new Promise<Reply>((resolve, reject) => {
          const call = new TypedCall(typed, options, new SingleReply(resolve, reject));
          call.start();
          call.read();
          void sendAll(call, method.input, requests);
        });
    case "server_streaming":
      return (request: Request, options?: CallOptions) => {
        const bytes = encodeMessage(method.input, request);
        return replies<Reply>((receiver) => {
          const call = new TypedCall(typed, options, receiver);
          call.start();
          call.send(bytes);
          call.halfClose();
          return call;
        });
      };
    case "bidi_streaming":
      return (requests: Requests<Request>, options?: CallOptions) =>
        replies<Reply>((receiver) => {
          const call = new TypedCall(typed, options, receiver);
          call.start();
          void sendAll(call, method.input, requests);
          return call;
        });
  }
}

/** Sends what `requests` yield, one at a time, until the call is over. */
async function sendAll(
  call: TypedCall,
  schema: DescMessage,
  requests: Requests<Request>,
): Promise<void> {
  try {
    for await (const request of requests) {
      if (call.isOver) return;
      const bytes = encodeMessage(schema, request);
      await new Promise<void>((resolve) => {
        call.send(bytes, resolve);
      });
    }
    call.halfClose();
  } catch (error) {
    call.cancel(Code.CANCELLED, "the requests failed", error);
  }
}
