/** The service that every contender serves: bytes in, bytes out, so that no codec is measured. */
import type { handleServerStreamingCall, handleUnaryCall, MethodDefinition } from "@grpc/grpc-js";

const identity = (bytes: Buffer): Buffer => bytes;

function method(
  name: string,
  requestStream: boolean,
  responseStream: boolean,
): MethodDefinition<Buffer, Buffer> {
  return {
    path: `/bench.Echo/${name}`,
    requestStream,
    responseStream,
    requestSerialize: identity,
    requestDeserialize: identity,
    responseSerialize: identity,
    responseDeserialize: identity,
  };
}

export const echoService: {
  readonly unary: MethodDefinition<Buffer, Buffer>;
  readonly flood: MethodDefinition<Buffer, Buffer>;
} = {
  /** Gives back what it got. */
  unary: method("Unary", false, false),
  /** Sends messages of 1 MiB until it is cancelled. */
  flood: method("Flood", false, true),
};

const MIB = Buffer.alloc(1024 * 1024, 0x5a);

export const echoHandlers: {
  unary: handleUnaryCall<Buffer, Buffer>;
  flood: handleServerStreamingCall<Buffer, Buffer>;
} = {
  unary: (call, callback) => callback(null, call.request),
  flood: (call) => {
    const write = (): void => {
      let more = true;
      while (more && !call.cancelled) more = call.write(MIB);
      if (!call.cancelled) call.once("drain", write);
    };
    write();
  },
};
