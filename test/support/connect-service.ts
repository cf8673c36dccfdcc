/** A stock grpc-js server and client of the outer service, whose messages are raw bytes. */
import * as grpc from "@grpc/grpc-js";

const bytes = (value: Buffer): Buffer => value;

const connectMethod: grpc.MethodDefinition<Buffer, Buffer> = {
  path: "/sealrpc.v1.AttestedChannelService/Connect",
  requestStream: true,
  responseStream: true,
  requestSerialize: bytes,
  requestDeserialize: bytes,
  responseSerialize: bytes,
  responseDeserialize: bytes,
};

export type ConnectHandler = grpc.handleBidiStreamingCall<Buffer, Buffer>;
export type ConnectCall = grpc.ClientDuplexStream<Buffer, Buffer>;

/** Sends every message back, then the metadata `last` as trailers. */
export const echo: ConnectHandler = (call) => {
  call.on("error", () => {});
  call.on("data", (message: Buffer) => {
    if (!call.write(message)) {
      call.pause();
      call.once("drain", () => call.resume());
    }
  });
  call.on("end", () => call.end());
};

export interface ConnectServer {
  /** A gRPC target; behind `unix:` also an address of the project. */
  readonly address: string;
  readonly server: grpc.Server;
  stop(): void;
}

/** Starts a server on `address`: `127.0.0.1:0` or `unix:/path`. */
export async function startConnectServer(
  handler: ConnectHandler,
  address = "127.0.0.1:0",
  options: grpc.ServerOptions = {},
): Promise<ConnectServer> {
  const server = new grpc.Server({ "grpc.enable_channelz": 0, ...options });
  server.addService({ Connect: connectMethod }, { Connect: handler });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(address, grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  return {
    address: address.startsWith("unix:") ? address : `127.0.0.1:${port}`,
    server,
    stop: () => server.forceShutdown(),
  };
}

/** A client of the outer service. */
export class ConnectClient {
  readonly client: grpc.Client;

  constructor(
    target: string,
    credentials: grpc.ChannelCredentials = grpc.credentials.createInsecure(),
    options: grpc.ChannelOptions = {},
  ) {
    this.client = new grpc.Client(target, credentials, {
      "grpc.enable_channelz": 0,
      "grpc.enable_retries": 0,
      "grpc.ssl_target_name_override": "localhost",
      "grpc.use_local_subchannel_pool": 1,
      "grpc-node.flow_control_window": 8 * 1024 * 1024,
      ...options,
    });
  }

  open(
    path: string = connectMethod.path,
    metadata: grpc.Metadata = new grpc.Metadata(),
  ): ConnectCall {
    return this.client.makeBidiStreamRequest(path, bytes, bytes, metadata);
  }

  close(): void {
    this.client.close();
  }
}

/** What a call came to. */
export interface Outcome {
  readonly messages: Buffer[];
  readonly metadata: grpc.Metadata | undefined;
  readonly status: grpc.StatusObject;
}

/** Reads a call to its end. */
export async function outcome(call: ConnectCall): Promise<Outcome> {
  const messages: Buffer[] = [];
  let metadata: grpc.Metadata | undefined;
  call.on("error", () => {});
  call.on("metadata", (received) => {
    metadata = received;
  });
  call.on("data", (message: Buffer) => messages.push(message));
  return new Promise((resolve) => {
    call.on("status", (status) => resolve({ messages, metadata, status }));
  });
}
