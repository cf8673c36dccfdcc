/** Bidirectional calls: both sides stream, independently of each other. */
import type { Metadata, ServerInterceptingCallInterface } from "@grpc/grpc-js";

import type { BaseCall, Listener } from "./base-call.ts";
import { runHandler } from "./run-handler.ts";
import { StreamCall } from "./stream-call.ts";

const SIDES = { readable: true, writable: true } as const;

export function listenBidi(call: ServerInterceptingCallInterface, base: BaseCall): Listener {
  let stream: StreamCall | undefined;
  return {
    onReceiveMetadata(metadata: Metadata) {
      const handled = new StreamCall(call, base, metadata, SIDES);
      stream = handled;
      runHandler(() => base.method.handler(handled), call, base);
    },
    onReceiveMessage: (message: unknown) => stream?.receive(message),
    onReceiveHalfClose: () => stream?.receiveEnd(),
    onCancel: () => stream?.cancel(),
  };
}
