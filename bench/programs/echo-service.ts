/** The service that every contender serves: bytes in, bytes out, so that no codec is measured. */
import type {
  handleBidiStreamingCall,
  handleServerStreamingCall,
  handleUnaryCall,
  MethodDefinition,
} from "@grpc/grpc-js";

type Method = MethodDefinition<Buffer, Buffer>;

const identity = (bytes: Buffer): Buffer => bytes;

function method(name: string, requestStream: boolean, responseStream: boolean): Method {
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
  readonly unary: Method;
  readonly download: Method;
  readonly upload: Method;
} = {
  /** Gives back what it got. */
  unary: method("Unary", false, false),
  /** Sends messages of as many bytes as the request says, until it is cancelled. */
  download: method("Download", false, true),
  /** Confirms each message with an empty one, so that the client knows what has arrived. */
  upload: method("Upload", true, true),
};

export const echoHandlers: {
  unary: handleUnaryCall<Buffer, Buffer>;
  download: handleServerStreamingCall<Buffer, Buffer>;
  upload: handleBidiStreamingCall<Buffer, Buffer>;
} = {
  unary: (call, callback) => callback(null, call.request),
  download: (call) => {
    const message = Buffer.alloc(call.request.readUInt32BE(), 0x5a);
    const write = (): void => {
      let more = true;
      while (more && !call.cancelled) more = call.write(message);
      if (!call.cancelled) call.once("drain", write);
    };
    write();
  },
  upload: (call) => {
    const received = Buffer.alloc(0);
    call.on("data", () => call.write(received)).on("end", () => call.end());
    call.on("error", () => {});
  },
};
