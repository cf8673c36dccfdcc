/** The server's half of gRPC's interoperability suite, as handlers that grpc-js's server takes too. */
import { setTimeout as delay } from "node:timers/promises";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { Metadata, status as Code } from "@grpc/grpc-js";
import type {
  BoolValue,
  EchoStatus,
  PayloadSchema,
  StreamingOutputCallRequest,
  StreamingOutputCallResponseSchema,
} from "#gen/grpc/testing/messages_pb.js";
import type { TestService } from "#gen/grpc/testing/test_pb.js";
import type { Handlers } from "../../services/enclave/index.ts";
import { LOAD_KEY, type LoadReports, loadTrailer } from "./load-reports.ts";

const INITIAL_KEY = "x-grpc-test-echo-initial";
const TRAILING_KEY = "x-grpc-test-echo-trailing-bin";
const NOT_ASKED_FOR = { code: Code.INVALID_ARGUMENT, details: "not compressed as expected" };

export interface TestServiceOptions {
  readonly load: LoadReports;
  /** Whether a request came compressed; undefined: unknown, and then it is not checked. */
  readonly cameCompressed: (request: object) => boolean | undefined;
}

/** What is used of the calls that are answered with a stream. */
interface StreamingCall {
  readonly cancelled: boolean;
  write(response: MessageInitShape<typeof StreamingOutputCallResponseSchema>): boolean;
  once(event: "drain" | "cancelled", listener: () => void): unknown;
  emit(event: "error", error: Failure): boolean;
}

interface Failure {
  readonly code: number;
  readonly details: string;
}

/** Makes the handlers of one server. */
export function testService({
  load,
  cameCompressed,
}: TestServiceOptions): Handlers<typeof TestService> {
  const isUnexpected = (request: {
    readonly expectCompressed?: BoolValue | undefined;
  }): boolean => {
    const came = cameCompressed(request);
    const expected = request.expectCompressed?.value ?? came;
    return came !== undefined && came !== expected;
  };

  return {
    emptyCall(_call, answer) {
      answer(null, {});
    },

    unaryCall(call, answer) {
      const { request } = call;
      const trailers = echo(call);
      if (request.orcaPerQueryReport !== undefined) {
        trailers.set(LOAD_KEY, loadTrailer(request.orcaPerQueryReport));
      }
      const failure = isUnexpected(request)
        ? NOT_ASKED_FOR
        : (failureOf(request.responseStatus) ?? sizeFailure(request.responseSize));
      if (failure !== undefined) answer({ ...failure, metadata: trailers });
      else answer(null, { payload: zeros(request.responseSize) }, trailers);
    },

    cacheableUnaryCall(_call, answer) {
      const now = Buffer.from(String(process.hrtime.bigint()));
      answer(null, { payload: { body: now } });
    },

    async streamingOutputCall(call) {
      const trailers = echo(call);
      if (await respond(call, call.request)) call.end(trailers);
    },

    async streamingInputCall(call, answer) {
      const trailers = echo(call);
      let aggregatedPayloadSize = 0;
      try {
        for await (const request of call) {
          if (isUnexpected(request)) return answer({ ...NOT_ASKED_FOR, metadata: trailers });
          aggregatedPayloadSize += request.payload?.body.length ?? 0;
        }
      } catch {
        // The upload was cut: nobody waits for an answer.
        return;
      }
      answer(null, { aggregatedPayloadSize }, trailers);
    },

    async fullDuplexCall(call) {
      const trailers = echo(call);
      try {
        for await (const request of requestsOf(call)) {
          if (request.orcaOobReport !== undefined) load.change(request.orcaOobReport);
          if (!(await respond(call, request))) return;
        }
      } catch {
        return;
      }
      call.end(trailers);
    },

    async halfDuplexCall(call) {
      const trailers = echo(call);
      const requests: StreamingOutputCallRequest[] = [];
      try {
        for await (const request of requestsOf(call)) requests.push(request);
      } catch {
        return;
      }
      for (const request of requests) if (!(await respond(call, request))) return;
      call.end(trailers);
    },
  };
}

/** The requests of a call that stays open when they end: in grpc-js, `for await` would destroy it. */
function requestsOf(call: {
  iterator(options: { destroyOnReturn: boolean }): AsyncIterator<unknown>;
}): AsyncIterable<StreamingOutputCallRequest> {
  const requests = call.iterator({ destroyOnReturn: false });
  return requests as AsyncIterableIterator<StreamingOutputCallRequest>;
}

/** Sends the initial metadata that the caller asks for, and gives the trailers. */
function echo(call: {
  readonly metadata: Metadata;
  sendMetadata(metadata: Metadata): void;
}): Metadata {
  call.sendMetadata(copied(call.metadata, INITIAL_KEY));
  return copied(call.metadata, TRAILING_KEY);
}

function copied(from: Metadata, key: string): Metadata {
  const metadata = new Metadata();
  for (const value of from.get(key)) metadata.add(key, value);
  return metadata;
}

/** Writes all that one request asks for; false when the call is over. */
async function respond(call: StreamingCall, request: StreamingOutputCallRequest): Promise<boolean> {
  const failure = failureOf(request.responseStatus);
  if (failure !== undefined) return fail(call, failure);
  for (const { size, intervalUs } of request.responseParameters) {
    const tooSmall = sizeFailure(size);
    if (tooSmall !== undefined) return fail(call, tooSmall);
    if (intervalUs > 0) await delay(intervalUs / 1000);
    if (call.cancelled) return false;
    if (!call.write({ payload: zeros(size) })) await roomIn(call);
  }
  return !call.cancelled;
}

function roomIn(call: StreamingCall): Promise<void> {
  return new Promise((resolve) => {
    call.once("drain", resolve);
    call.once("cancelled", resolve);
  });
}

function fail(call: StreamingCall, failure: Failure): false {
  call.emit("error", failure);
  return false;
}

function failureOf(status: EchoStatus | undefined): Failure | undefined {
  if (status === undefined || status.code === 0) return undefined;
  return { code: status.code, details: status.message };
}

function sizeFailure(size: number): Failure | undefined {
  if (size >= 0) return undefined;
  return { code: Code.INVALID_ARGUMENT, details: "a payload has a size of 0 or more" };
}

function zeros(size: number): MessageInitShape<typeof PayloadSchema> {
  return { body: new Uint8Array(size) };
}
