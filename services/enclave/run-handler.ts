/** Runs handlers so that whatever they throw becomes a status and ends there. */
import type { ServerInterceptingCallInterface, sendUnaryData } from "@grpc/grpc-js";
import { status as Code } from "@grpc/grpc-js";

import type { BaseCall } from "./base-call.ts";
import { statusOf, UNKNOWN_ERROR } from "./status.ts";

/**
 * Runs `handler` now. What it throws, or what its promise rejects with, ends `call` with UNKNOWN
 * and without its text.
 */
export function runHandler(
  handler: () => unknown,
  call: ServerInterceptingCallInterface,
  base: BaseCall,
): void {
  const { place } = base;
  const fail = (error: unknown): void => {
    base.reportError(error);
    try {
      call.sendStatus(UNKNOWN_ERROR);
    } catch (thrown) {
      // By an interceptor: the call has to end all the same.
      base.fail(thrown);
    }
  };
  place.hold();
  let result: unknown;
  try {
    result = handler();
  } catch (error) {
    place.answered();
    fail(error);
  }
  if (!isPromise(result)) {
    place.leave();
    return;
  }
  // Its promise tells when it has returned, not its callback.
  place.answered();
  Promise.resolve(result).then(
    () => place.leave(),
    (error: unknown) => {
      fail(error);
      place.leave();
    },
  );
}

/** The callback of a handler that answers once. */
export function answerOf(
  call: ServerInterceptingCallInterface,
  base: BaseCall,
): sendUnaryData<unknown> {
  let answered = false;
  base.place.awaitAnswer();
  return (error, value, trailers) => {
    if (answered) return;
    answered = true;
    base.place.answered();
    try {
      if (error) {
        call.sendStatus(statusOf(error, trailers));
        return;
      }
      call.sendMessage(value, () => {
        call.sendStatus({ code: Code.OK, details: "OK", metadata: trailers ?? null });
      });
    } catch (thrown) {
      // By an interceptor, and not the fault of whoever answers.
      base.fail(thrown);
    }
  };
}

function isPromise(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && "then" in value
    ? typeof value.then === "function"
    : false;
}
