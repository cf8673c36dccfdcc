/** Calls of the behaviour service, and all that an application can observe of one. */
import * as grpc from "@grpc/grpc-js";
import type { Payload } from "#gen/behavior/v1/behavior_pb.js";
import { ACTION_KEY, CASE_KEY } from "./ledger.ts";
import type { BehaviorClient, PayloadInit } from "./service.ts";

/** Everything that one call gave its caller. */
export interface Observed {
  readonly headers: grpc.Metadata | undefined;
  readonly messages: readonly Payload[];
  readonly status: grpc.StatusObject;
}

/** A call on its way. */
export interface Running<C> {
  /** By which the ledger knows it. */
  readonly id: string;
  readonly call: C;
  readonly observed: Promise<Observed>;
}

/** How a call is made, apart from its messages. */
export interface Ask extends grpc.CallOptions {
  readonly action: string;
  readonly metadata?: grpc.Metadata;
}

interface Response {
  readonly payload?: Payload | undefined;
}

let cases = 0;

/** Names the case and the action in the call's metadata. */
function asked({ action, metadata }: Ask): { id: string; metadata: grpc.Metadata } {
  const id = `case-${++cases}`;
  const sent = metadata?.clone() ?? new grpc.Metadata();
  sent.set(CASE_KEY, id);
  sent.set(ACTION_KEY, action);
  if (metadata) sent.setOptions(metadata.getOptions());
  return { id, metadata: sent };
}

/** Starts a unary call. */
export function unary(
  client: BehaviorClient,
  ask: Ask,
  payload: PayloadInit = {},
): Running<grpc.ClientUnaryCall> {
  const { id, metadata } = asked(ask);
  const answer = deferred<Payload | grpc.ServiceError>();
  const call = client.unary({ payload }, metadata, ask, answered(answer.resolve));
  return { id, call, observed: observeAnswer(call, answer.promise) };
}

/** Starts a client streaming call. */
export function collect(
  client: BehaviorClient,
  ask: Ask,
): Running<ReturnType<BehaviorClient["collect"]>> {
  const { id, metadata } = asked(ask);
  const answer = deferred<Payload | grpc.ServiceError>();
  const call = client.collect(metadata, ask, answered(answer.resolve));
  return { id, call, observed: observeAnswer(call, answer.promise) };
}

/** Starts a server streaming call. */
export function expand(
  client: BehaviorClient,
  ask: Ask,
  payload: PayloadInit = {},
): Running<ReturnType<BehaviorClient["expand"]>> {
  const { id, metadata } = asked(ask);
  const call = client.expand({ payload }, metadata, ask);
  return { id, call, observed: observeStream(call) };
}

/** Starts a bidirectional call. */
export function chat(
  client: BehaviorClient,
  ask: Ask,
): Running<ReturnType<BehaviorClient["chat"]>> {
  const { id, metadata } = asked(ask);
  const call = client.chat(metadata, ask);
  return { id, call, observed: observeStream(call) };
}

function answered(
  resolve: (answer: Payload | grpc.ServiceError) => void,
): grpc.requestCallback<Response> {
  let calls = 0;
  return (error, response) => {
    if (++calls > 1) throw new Error("the callback ran twice");
    resolve(error ?? present(response));
  };
}

async function observeAnswer(
  call: grpc.ClientUnaryCall | ReturnType<BehaviorClient["collect"]>,
  answer: Promise<Payload | grpc.ServiceError>,
): Promise<Observed> {
  const { status, headers } = await ending(call);
  const result = await answer;
  const failed = result instanceof Error;
  if (failed !== (status.code !== grpc.status.OK) || (failed && result.code !== status.code))
    throw new Error(`the callback disagrees with status ${status.code}`);
  return { headers, messages: failed ? [] : [result], status };
}

async function observeStream(
  call: ReturnType<BehaviorClient["expand"]> | ReturnType<BehaviorClient["chat"]>,
): Promise<Observed> {
  const messages: Payload[] = [];
  call.on("data", (response: Response) => messages.push(present(response)));
  const end = deferred<void>();
  call.on("end", () => end.resolve());
  let failure: grpc.ServiceError | undefined;
  call.on("error", (error: grpc.ServiceError) => (failure = error));
  const { status, headers } = await ending(call);
  if (status.code === grpc.status.OK) await end.promise;
  else if (failure?.code !== status.code)
    throw new Error(`status ${status.code} disagrees with ${String(failure)}`);
  return { headers, messages, status };
}

/** Waits for the status, which comes once and last; metadata comes at most once. */
async function ending(call: {
  on(event: "metadata", listener: (metadata: grpc.Metadata) => void): unknown;
  on(event: "status", listener: (status: grpc.StatusObject) => void): unknown;
}): Promise<{ status: grpc.StatusObject; headers: grpc.Metadata | undefined }> {
  const status = deferred<grpc.StatusObject>();
  let headers: grpc.Metadata | undefined;
  let statuses = 0;
  call.on("metadata", (metadata) => {
    if (headers) throw new Error("metadata came twice");
    headers = metadata;
  });
  call.on("status", (given) => {
    if (++statuses > 1) throw new Error("the status came twice");
    status.resolve(given);
  });
  return { status: await status.promise, headers };
}

function present(response: Response | undefined): Payload {
  if (!response?.payload) throw new Error("a response without a payload");
  return response.payload;
}

interface Deferred<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
}

function deferred<T>(): Deferred<T> {
  let resolve: (value: T) => void = () => {};
  const promise = new Promise<T>((settle) => (resolve = settle));
  return { promise, resolve };
}
