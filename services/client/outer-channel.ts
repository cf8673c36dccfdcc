/**
 * The way to the proxy: a stock grpc-js client, whose name resolution, TLS, keepalive, balancing and
 * HTTP proxies are what gRPC users know. Nothing of a call is visible here.
 */
import type { Socket } from "node:net";

import {
  CallCredentials,
  ChannelCredentials,
  Client,
  Metadata,
  compressionAlgorithms,
  credentials,
} from "@grpc/grpc-js";
import type { ChannelOptions, ClientDuplexStream } from "@grpc/grpc-js";

const CONNECT = "/sealrpc.v1.AttestedChannelService/Connect";

/** What a user may change. */
const DEFAULTS: ChannelOptions = {
  "grpc.enable_channelz": 0,
  // Half of it comes in a round trip of a long link. What is kept is bounded by credit, not by this.
  "grpc-node.flow_control_window": 32 * 1024 * 1024,
  "grpc.keepalive_time_ms": 30_000,
  "grpc.keepalive_timeout_ms": 20_000,
  "grpc.initial_reconnect_backoff_ms": 100,
  "grpc.max_reconnect_backoff_ms": 30_000,
};

/** What nobody may change. */
const FIXED: ChannelOptions = {
  // Whether a call may be sent again is decided by what is sealed, never out here.
  "grpc.enable_retries": 0,
  // Even so, grpc-js keeps what it could send again, and calls that written. A hello fits, and may be
  // sent again; a record is written when it is on its way, or small calls would wait behind many.
  "grpc.per_rpc_retry_buffer_size": 2048,
  // Records do not compress.
  "grpc.default_compression_algorithm": compressionAlgorithms.identity,
  // One record at most; a host cannot make the client keep more.
  "grpc.max_receive_message_length": 512 * 1024,
  "grpc.max_send_message_length": -1,
  // A connection of this channel is shared with nobody, so that it can be let go when it is idle.
  "grpc.use_local_subchannel_pool": 1,
};

export class OuterChannel {
  readonly #client: Client;
  readonly #credentials: HeldCredentials;
  readonly #metadata = new Metadata();
  readonly #allowed: readonly string[];

  /**
   * `allowed`: keys of calls' metadata that may travel outside the seal.
   *
   * @throws TypeError if `outerCredentials` hold call credentials, which would travel in the clear.
   */
  constructor(
    target: string,
    outerCredentials: ChannelCredentials,
    options: ChannelOptions,
    allowed: readonly string[],
  ) {
    refuseCallCredentials(outerCredentials);
    this.#credentials = new HeldCredentials(outerCredentials);
    this.#client = new Client(target, this.#credentials, { ...DEFAULTS, ...options, ...FIXED });
    this.#allowed = allowed;
  }

  /** Opens an outer stream; messages go and come as they are. */
  open(): ClientDuplexStream<Uint8Array, Buffer> {
    return this.#client.makeBidiStreamRequest(CONNECT, asBuffer, asIs, this.#metadata.clone());
  }

  /** Takes from a call's metadata what may travel outside the seal, for the streams that follow. */
  adopt(metadata: Metadata): void {
    for (const key of this.#allowed) {
      const values = metadata.get(key);
      if (values.length === 0) continue;
      this.#metadata.remove(key);
      for (const value of values) this.#metadata.add(key, value);
    }
  }

  /** While held, connections keep the process running. */
  hold(isHeld: boolean): void {
    this.#credentials.hold(isHeld);
  }

  /** Opens no more streams; connections end with their last stream. */
  close(): void {
    this.#client.close();
  }
}

function asBuffer(message: Uint8Array): Buffer {
  return Buffer.from(message.buffer, message.byteOffset, message.byteLength);
}

function asIs(message: Buffer): Buffer {
  return message;
}

type Connector = ReturnType<ChannelCredentials["_createSecureConnector"]>;
type ConnectorArguments = Parameters<ChannelCredentials["_createSecureConnector"]>;

/**
 * Credentials that know the sockets made with them. A session is a call that never ends to grpc-js,
 * so it would keep the process running for ever.
 */
class HeldCredentials extends ChannelCredentials {
  readonly #inner: ChannelCredentials;
  readonly #sockets = new Set<Socket>();

  constructor(inner: ChannelCredentials) {
    super();
    this.#inner = inner;
  }

  hold(isHeld: boolean): void {
    for (const socket of this.#sockets) {
      if (isHeld) socket.ref();
      else socket.unref();
    }
  }

  override _isSecure(): boolean {
    return this.#inner._isSecure();
  }

  override _equals(other: ChannelCredentials): boolean {
    return this === other;
  }

  override _createSecureConnector(...args: ConnectorArguments): Connector {
    const connector = this.#inner._createSecureConnector(...args);
    return {
      connect: async (plain) => {
        const result = await connector.connect(plain);
        const { socket } = result;
        this.#sockets.add(socket);
        socket.once("close", () => this.#sockets.delete(socket));
        return result;
      },
      waitForReady: async () => connector.waitForReady(),
      getCallCredentials: () => connector.getCallCredentials(),
      destroy: () => connector.destroy(),
    };
  }
}

function refuseCallCredentials(outerCredentials: ChannelCredentials): void {
  const target = { scheme: "dns", authority: "", path: "localhost" };
  const connector = outerCredentials._createSecureConnector(target, {});
  const isEmpty = CallCredentials.createEmpty()._equals(connector.getCallCredentials());
  connector.destroy();
  if (!isEmpty) {
    throw new TypeError(
      "credentials: call credentials would travel outside the seal, give them as callCredentials",
    );
  }
}

/** The outer channel's credentials unless others are given: what matters is sealed anyway. */
export function insecureCredentials(): ChannelCredentials {
  return credentials.createInsecure();
}
