/** The handlers of the behaviour service, written as any grpc-js handler is. */
import { type EventEmitter, once } from "node:events";
import * as grpc from "@grpc/grpc-js";
import type {
  ChatRequest,
  ChatResponse,
  CollectRequest,
  CollectResponse,
  ExpandRequest,
  ExpandResponse,
  UnaryRequest,
  UnaryResponse,
} from "#gen/behavior/v1/behavior_pb.js";
import { ACTION_KEY, type HandlerCall, type Ledger, type SeenCall } from "./ledger.ts";
import type { PayloadInit } from "./service.ts";

/** What a handler sends: a message as a literal, which the definition's serializer completes. */
type Sent<T> = T | { payload: PayloadInit };
type UnaryCall = grpc.ServerUnaryCall<UnaryRequest, Sent<UnaryResponse>>;
type CollectCall = grpc.ServerReadableStream<CollectRequest, Sent<CollectResponse>>;
type ExpandCall = grpc.ServerWritableStream<ExpandRequest, Sent<ExpandResponse>>;
type ChatCall = grpc.ServerDuplexStream<ChatRequest, Sent<ChatResponse>>;
type Answer<T> = grpc.sendUnaryData<Sent<T>>;

/** The text of errors: beyond ASCII, and with what percent-encoding could trip over. */
export const ERROR_TEXT = "nö: 100 % 😀, %41 stays\tso";
/** What a handler that fails puts in `grpc-status-details-bin`. */
export const ERROR_DETAILS: Buffer = Buffer.from([0, 8, 5, 255, 1]);
/** The data of one message where a test fills a stream. */
export const FILL_BYTES: number = 16 * 1024;
/** Of these, each end sends `FLOOD_COUNT` while it reads the other's. */
export const FLOOD_BYTES: number = 1 << 20;
export const FLOOD_COUNT = 24;

/** Handlers that note in `ledger` what they see. */
export function behaviorHandlers(ledger: Ledger): grpc.UntypedServiceImplementation {
  const by =
    <C extends HandlerCall, R extends unknown[]>(
      actions: Record<string, (seen: SeenCall, call: C, ...rest: R) => void>,
    ) =>
    (call: C, ...rest: R): void => {
      const seen = ledger.enter(call);
      const action = actions[String(call.metadata.get(ACTION_KEY)[0])];
      if (!action) throw new Error("the test asks for an unknown action");
      return action(seen, call, ...rest);
    };
  // `missing` is absent: the server answers for it.
  return {
    unary: by<UnaryCall, [Answer<UnaryResponse>]>(unaryActions),
    collect: by<CollectCall, [Answer<CollectResponse>]>(collectActions),
    expand: by<ExpandCall, []>(expandActions),
    chat: by<ChatCall, []>(chatActions),
  };
}

const unaryActions: Record<
  string,
  (seen: SeenCall, call: UnaryCall, answer: Answer<UnaryResponse>) => void
> = {
  echo(_seen, call, answer) {
    call.sendMetadata(echoed(call.metadata, "echo-"));
    answer(null, { payload: call.request.payload ?? {} }, echoed(call.metadata, "trailing-"));
  },
  bare(_seen, call, answer) {
    answer(null, { payload: call.request.payload ?? {} });
  },
  fail(_seen, call, answer) {
    answer({ ...failure(call.request.payload?.number ?? 0), metadata: failureTrailers() });
  },
  "fail-plainly"(_seen, _call, answer) {
    answer(new Error(ERROR_TEXT));
  },
  "fail-by-event"(_seen, call) {
    call.emit("error", Object.assign(new Error("x"), failure(call.request.payload?.number ?? 0)));
  },
  twice(_seen, call, answer) {
    answer(null, { payload: call.request.payload ?? {} });
    answer(null, { payload: { text: "again" } });
    answer(failure(grpc.status.INTERNAL));
  },
  async "headers-first"(seen, call, answer) {
    call.sendMetadata(echoed(call.metadata, "echo-"));
    await seen.when("released");
    call.sendMetadata(failureTrailers());
    answer(null, { payload: call.request.payload ?? {} });
  },
  throw() {
    throw new Error("thrown by the handler");
  },
  async reject() {
    await Promise.resolve();
    throw new Error("rejected by the handler");
  },
  async hold(seen, call, answer) {
    await seen.when("released");
    answer(null, { payload: call.request.payload ?? {} });
  },
  measure(_seen, call, answer) {
    answer(null, { payload: { number: call.request.payload?.data.length ?? 0 } });
  },
  blow(_seen, call, answer) {
    answer(null, { payload: { data: new Uint8Array(call.request.payload?.number ?? 0) } });
  },
};

const collectActions: Record<
  string,
  (seen: SeenCall, call: CollectCall, answer: Answer<CollectResponse>) => void
> = {
  async sum(seen, call, answer) {
    answer(null, { payload: await sum(seen, call) }, echoed(call.metadata, "trailing-"));
  },
  early(_seen, call, answer) {
    call.once("data", () => answer(null, { payload: { text: "enough" } }));
  },
  "fail-early"(_seen, call, answer) {
    call.once("data", (request: CollectRequest) => answer(failure(request.payload?.number ?? 0)));
  },
  async hold(seen, call, answer) {
    await seen.when("released");
    answer(null, { payload: await sum(seen, call) });
  },
  async commit(seen, call, answer) {
    try {
      const payload = await sum(seen, call);
      seen.mark("committed");
      answer(null, { payload });
    } catch {
      seen.mark("abandoned");
    }
  },
  destroy(_seen, call) {
    call.once("data", () => call.destroy(new Error("the handler's pipeline failed")));
  },
};

const expandActions: Record<string, (seen: SeenCall, call: ExpandCall) => void> = {
  async count(seen, call) {
    call.sendMetadata(echoed(call.metadata, "echo-"));
    await write(seen, call, call.request.payload?.number ?? 0, { text: "part" });
    call.end(echoed(call.metadata, "trailing-"));
  },
  async fill(seen, call) {
    const data = new Uint8Array(FILL_BYTES);
    await write(seen, call, call.request.payload?.number ?? 0, { data });
    call.end();
  },
  async fail(seen, call) {
    await write(seen, call, call.request.payload?.number ?? 0, { text: "part" });
    call.emit("error", { ...failure(grpc.status.DATA_LOSS), metadata: failureTrailers() });
  },
  none(_seen, call) {
    call.end(echoed(call.metadata, "trailing-"));
  },
  hold(_seen, call) {
    call.write({ payload: { text: "first" } });
  },
  destroy(_seen, call) {
    call.write({ payload: { text: "first" } }, () => {
      call.destroy(new Error("the handler's pipeline failed"));
    });
  },
};

const chatActions: Record<string, (seen: SeenCall, call: ChatCall) => void> = {
  echo(seen, call) {
    call.sendMetadata(echoed(call.metadata, "echo-"));
    call.on("data", (request: ChatRequest) => {
      seen.received++;
      call.write({ payload: request.payload ?? {} });
    });
    call.on("end", () => {
      seen.mark("end");
      call.end(echoed(call.metadata, "trailing-"));
    });
  },
  async loop(seen, call) {
    const payload = await sum(seen, call);
    call.write({ payload });
    call.end(echoed(call.metadata, "trailing-"));
  },
  first(_seen, call) {
    call.write({ payload: { text: "the server's last word" } });
    call.end(echoed(call.metadata, "trailing-"));
  },
  async flood(seen, call) {
    // A loop over the call itself would destroy it at the end, and its writing half too.
    const reading = sum(
      seen,
      call.iterator({ destroyOnReturn: false }) as AsyncIterable<ChatRequest>,
    );
    await write(seen, call, FLOOD_COUNT, { data: new Uint8Array(FLOOD_BYTES).fill(2) });
    await write(seen, call, 1, await reading);
    call.end();
  },
  fail(_seen, call) {
    call.once("data", (request: ChatRequest) => {
      call.write({ payload: request.payload ?? {} });
      call.emit("error", failure(request.payload?.number ?? 0));
    });
  },
  destroy(_seen, call) {
    call.once("data", () => call.destroy(new Error("the handler's pipeline failed")));
  },
};

/** Counts messages and bytes of a request stream, and checks that they come in order. */
async function sum(
  seen: SeenCall,
  call: AsyncIterable<CollectRequest | ChatRequest>,
): Promise<PayloadInit> {
  let bytes = 0;
  let ordered = true;
  for await (const { payload } of call) {
    ordered &&= payload?.number === seen.received;
    seen.received++;
    seen.mark(`received ${seen.received}`);
    bytes += payload?.data.length ?? 0;
  }
  return { number: seen.received, text: `${bytes} bytes${ordered ? "" : ", out of order"}` };
}

/** Writes `count` numbered messages, each when there is room for it. */
async function write(
  seen: SeenCall,
  call: EventEmitter & { write(message: { payload: PayloadInit }): boolean },
  count: number,
  payload: PayloadInit,
): Promise<void> {
  for (let number = 0; number < count; number++) {
    seen.sent++;
    if (!call.write({ payload: { number, ...payload } })) await once(call, "drain");
  }
}

function failure(code: number): { code: number; details: string } {
  return { code, details: ERROR_TEXT };
}

function failureTrailers(): grpc.Metadata {
  const trailers = new grpc.Metadata();
  trailers.set("grpc-status-details-bin", ERROR_DETAILS);
  trailers.set("failure", "trailing");
  return trailers;
}

/** The entries whose key starts so. */
function echoed(metadata: grpc.Metadata, prefix: string): grpc.Metadata {
  const out = new grpc.Metadata();
  for (const [key, values] of Object.entries(metadata.toJSON())) {
    if (key.startsWith(prefix)) for (const value of values) out.add(key, value);
  }
  return out;
}
