/** How the requests of typed calls get from the application's iterables onto their calls. */
import type { DescMessage, MessageInitShape } from "@bufbuild/protobuf";
import { status as Code } from "@grpc/grpc-js";

import type { TypedCall, TypedMethod } from "./typed-call.ts";

/**
 * Request messages, which are asked for as fast as the enclave takes them. What has not ended when
 * the call is over gets its `return` called then, whatever it is waiting for.
 */
export type Requests<Message> = AsyncIterable<Message> | Iterable<Message>;

/** Sends what `requests` yield, one at a time, until they end or the call is over. */
export async function sendAll(
  call: TypedCall,
  method: TypedMethod,
  requests: Requests<MessageInitShape<DescMessage>>,
): Promise<void> {
  if (call.isOver) return;
  try {
    const iterator =
      Symbol.asyncIterator in requests
        ? requests[Symbol.asyncIterator]()
        : requests[Symbol.iterator]();
    // `for await` would say so only when the next request is there, which may be never.
    const over = new Promise<void>((resolve) => {
      call.onOver = resolve;
    });
    over.then(() => iterator.return?.()).catch(() => {});
    while (!call.isOver) {
      const next = await iterator.next();
      if (next.done === true) {
        call.onOver = undefined;
        call.halfClose();
        return;
      }
      const bytes = method.serialize(next.value);
      await new Promise<void>((resolve) => {
        call.send(bytes, resolve);
      });
    }
  } catch (error) {
    call.cancel(Code.CANCELLED, "the requests failed", error);
  }
}
