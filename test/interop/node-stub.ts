/** Calls of the suite through a grpc-js client, each of which gives all that came of it. */
import type { DescMessage, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import * as grpc from "@grpc/grpc-js";
import type { MethodDefinition } from "../../services/grpc/service-definition.ts";

const TIMEOUT_MS = 30_000;

type Unary<I extends DescMessage, O extends DescMessage> = MethodDefinition<I, O, false, false>;
type Upload<I extends DescMessage, O extends DescMessage> = MethodDefinition<I, O, true, false>;
type Expand<I extends DescMessage, O extends DescMessage> = MethodDefinition<I, O, false, true>;
type Chat<I extends DescMessage, O extends DescMessage> = MethodDefinition<I, O, true, true>;

/** What a call came to. */
export interface Ended<Response> {
  readonly responses: readonly Response[];
  readonly initial: grpc.Metadata;
  readonly status: grpc.StatusObject;
}

/** A call that is running. */
export interface Running<Request, Response> {
  readonly ended: Promise<Ended<Response>>;
  send(request: Request): void;
  halfClose(): void;
  cancel(): void;
  /** The response of that place, when it is there; rejects when the call ends without it. */
  response(index: number): Promise<Response>;
}

export interface CallSettings {
  readonly metadata?: grpc.Metadata;
  readonly timeoutMs?: number;
}

/** One client. */
export class Stub {
  readonly #client: grpc.Client;

  constructor(client: grpc.Client) {
    this.#client = client;
  }

  /** Calls a method that takes one request and gives one response. */
  unary<I extends DescMessage, O extends DescMessage>(
    method: Unary<I, O>,
    request: MessageInitShape<I>,
    settings: CallSettings = {},
  ): Promise<Ended<MessageShape<O>>> {
    const { metadata, options } = completed(settings);
    const responses: MessageShape<O>[] = [];
    const call = this.#client.makeUnaryRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      request,
      metadata,
      options,
      (_error, response) => {
        if (response !== undefined) responses.push(response);
      },
    );
    return endOf(call, responses);
  }

  /** Starts a method that takes a stream and gives one response. */
  upload<I extends DescMessage, O extends DescMessage>(
    method: Upload<I, O>,
    settings: CallSettings = {},
  ): Running<MessageInitShape<I>, MessageShape<O>> {
    const { metadata, options } = completed(settings);
    const responses: MessageShape<O>[] = [];
    const call = this.#client.makeClientStreamRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      metadata,
      options,
      (_error, response) => {
        if (response !== undefined) responses.push(response);
      },
    );
    return running(call, responses);
  }

  /** Starts a method that takes one request and gives a stream. */
  expand<I extends DescMessage, O extends DescMessage>(
    method: Expand<I, O>,
    request: MessageInitShape<I>,
    settings: CallSettings = {},
  ): Running<never, MessageShape<O>> {
    const { metadata, options } = completed(settings);
    const call = this.#client.makeServerStreamRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      request,
      metadata,
      options,
    );
    return running(call, collected<MessageShape<O>>(call));
  }

  /** Starts a method that takes a stream and gives one. */
  chat<I extends DescMessage, O extends DescMessage>(
    method: Chat<I, O>,
    settings: CallSettings = {},
  ): Running<MessageInitShape<I>, MessageShape<O>> {
    const { metadata, options } = completed(settings);
    const call = this.#client.makeBidiStreamRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      metadata,
      options,
    );
    return running(call, collected<MessageShape<O>>(call));
  }

  close(): void {
    this.#client.close();
  }
}

function completed({ metadata = new grpc.Metadata(), timeoutMs = TIMEOUT_MS }: CallSettings): {
  readonly metadata: grpc.Metadata;
  readonly options: grpc.CallOptions;
} {
  return { metadata, options: { deadline: Date.now() + timeoutMs } };
}

type Call = NodeJS.EventEmitter & { cancel(): void };

function collected<Response>(call: grpc.ClientReadableStream<Response>): Response[] {
  const responses: Response[] = [];
  call.on("data", (response: Response) => responses.push(response));
  return responses;
}

async function endOf<Response>(call: Call, responses: Response[]): Promise<Ended<Response>> {
  let initial = new grpc.Metadata();
  call.on("metadata", (metadata: grpc.Metadata) => {
    initial = metadata;
  });
  // Says the same as the status.
  call.on("error", () => {});
  const status = await new Promise<grpc.StatusObject>((resolve) => {
    call.on("status", resolve);
  });
  return { responses, initial, status };
}

function running<Request, Response>(
  call: Call & Partial<Pick<grpc.ClientWritableStream<Request>, "write" | "end">>,
  responses: Response[],
): Running<Request, Response> {
  const ended = endOf(call, responses);
  return {
    ended,
    send: (request) => call.write?.(request),
    halfClose: () => call.end?.(),
    cancel: () => call.cancel(),
    async response(index) {
      while (responses.length <= index) {
        const more = new Promise<undefined>((resolve) => {
          call.once("data", () => resolve(undefined));
        });
        const over = await Promise.race([more, ended.then(({ status }) => status)]);
        if (over !== undefined) throw new Error(`ended with ${over.code}: ${over.details}`);
      }
      return responses[index] as Response;
    },
  };
}
