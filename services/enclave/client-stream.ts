/** Client-streaming calls: requests arrive as a stream, one answer leaves through a callback. */
import type { Metadata, ServerInterceptingCallInterface } from "@grpc/grpc-js";

import type { BaseCall, Listener } from "./base-call.ts";
import { answerOf, runHandler } from "./run-handler.ts";
import { StreamCall } from "./stream-call.ts";

const SIDES = { readable: true, writable: false } as const;

export function listenClientStream(
  call: ServerInterceptingCallInterface,
  base: BaseCall,
): Listener {
  let stream: StreamCall | undefined;
  return {
    onReceiveMetadata(metadata: Metadata) {
      const handled = new StreamCall(call, base, metadata, SIDES);
      stream = handled;
      const answer = answerOf(call, base);
      runHandler(() => base.method.handler(handled, answer), call, base);
    },
    onReceiveMessage: (message: unknown) => stream?.receive(message),
    onReceiveHalfClose: () => stream?.receiveEnd(),
    onCancel: () => stream?.cancel(),
  };
}
