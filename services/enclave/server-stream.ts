/** Server-streaming calls: one request, and responses written as a stream. */
import type { Metadata, ServerInterceptingCallInterface } from "@grpc/grpc-js";

import type { BaseCall, Listener } from "./base-call.ts";
import { runHandler } from "./run-handler.ts";
import { StreamCall } from "./stream-call.ts";

const SIDES = { readable: false, writable: true } as const;

export function listenServerStream(
  call: ServerInterceptingCallInterface,
  base: BaseCall,
): Listener {
  let received: Metadata | undefined;
  let request: unknown;
  let stream: (StreamCall & { request: unknown }) | undefined;
  return {
    onReceiveMetadata(metadata: Metadata) {
      received = metadata;
      call.startRead();
    },
    onReceiveMessage(message: unknown) {
      request = message;
      call.startRead();
    },
    onReceiveHalfClose() {
      if (received === undefined || stream !== undefined) return;
      const handled = Object.assign(new StreamCall(call, base, received, SIDES), { request });
      stream = handled;
      runHandler(() => base.method.handler(handled), call, base);
    },
    onCancel: () => stream?.cancel(),
  };
}
