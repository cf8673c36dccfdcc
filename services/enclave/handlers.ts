/** Types of the handlers for a protobuf-es service: grpc-js's shapes, typed by the descriptor. */
import type { DescMethod, DescService, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import type {
  sendUnaryData,
  ServerDuplexStream,
  ServerReadableStream,
  ServerUnaryCall,
  ServerWritableStream,
} from "@grpc/grpc-js";

import type { SealedAuthContext } from "./caller.ts";

/** A call object of grpc-js whose security context is this library's. */
type Sealed<Call> = { getAuthContext(): SealedAuthContext } & Call;

/** What grpc-js leaves untyped of a call that is read: its messages. */
interface Incoming<Message> {
  on(event: "data", listener: (message: Message) => void): this;
  [Symbol.asyncIterator](): AsyncIterableIterator<Message>;
}

type Readable<Call, Message> = Incoming<Message> & Omit<Call, typeof Symbol.asyncIterator>;

export type UnaryHandler<Request, Response> = (
  call: Sealed<ServerUnaryCall<Request, Response>>,
  callback: sendUnaryData<Response>,
) => unknown;

export type ClientStreamHandler<Request, Response> = (
  call: Sealed<Readable<ServerReadableStream<Request, Response>, Request>>,
  callback: sendUnaryData<Response>,
) => unknown;

export type ServerStreamHandler<Request, Response> = (
  call: Sealed<ServerWritableStream<Request, Response>>,
) => unknown;

export type BidiHandler<Request, Response> = (
  call: Sealed<Readable<ServerDuplexStream<Request, Response>, Request>>,
) => unknown;

type HandlerOf<Method extends DescMethod> = HandlerOfKind<
  Method["methodKind"],
  MessageShape<Method["input"]>,
  MessageInitShape<Method["output"]>
>;

type HandlerOfKind<Kind, Request, Response> = Kind extends "unary"
  ? UnaryHandler<Request, Response>
  : Kind extends "client_streaming"
    ? ClientStreamHandler<Request, Response>
    : Kind extends "server_streaming"
      ? ServerStreamHandler<Request, Response>
      : BidiHandler<Request, Response>;

/**
 * The handlers of a service, under the local (camel case) names of its methods. What is left out
 * answers UNIMPLEMENTED.
 */
export type Handlers<Service extends DescService> = {
  readonly [Name in keyof Service["method"]]?: HandlerOf<Service["method"][Name]>;
};
