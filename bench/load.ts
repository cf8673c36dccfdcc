/** The client of one contender, as a process of its own; it runs the loads that it is sent. */
import { Client, credentials, type ChannelCredentials, type ClientOptions } from "@grpc/grpc-js";
import { AttestedChannel } from "../services/client/index.ts";
import { echoService } from "./echo-service.ts";
import type { Reachable } from "./serve.ts";

/** One load: how many calls are outstanding, of which size, beside what. */
export interface Load {
  readonly bytes: number;
  readonly outstanding: number;
  /** Whether a stream of 1 MiB messages runs beside it on the same session. */
  readonly besideStream: boolean;
  readonly durationMs: number;
}

export interface Result {
  readonly callsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Of the stream beside the calls. */
  readonly streamMibPerSecond: number;
}

function createClient({ address, trust, policy }: Reachable): Client {
  const tls: ChannelCredentials | undefined =
    trust === undefined ? undefined : credentials.createSsl(Buffer.from(trust));
  const options: ClientOptions = {
    "grpc.max_receive_message_length": -1,
    "grpc.ssl_target_name_override": "localhost",
  };
  if (policy !== undefined) {
    options.channelOverride = new AttestedChannel(address, { policy: policy as never });
  }
  return new Client(address, tls ?? credentials.createInsecure(), options);
}

async function run(client: Client, load: Load): Promise<Result> {
  const request = Buffer.alloc(load.bytes, 1);
  const { unary, flood } = echoService;
  const latencies: number[] = [];
  let streamed = 0;
  const stream = load.besideStream
    ? client.makeServerStreamRequest(
        flood.path,
        flood.requestSerialize,
        flood.responseDeserialize,
        request,
      )
    : undefined;
  stream?.on("data", (message: Buffer) => (streamed += message.length)).on("error", () => {});
  const start = performance.now();
  const end = start + load.durationMs;
  await new Promise<void>((resolve, reject) => {
    let open = load.outstanding;
    const call = (): void => {
      const sent = performance.now();
      client.makeUnaryRequest(
        unary.path,
        unary.requestSerialize,
        unary.responseDeserialize,
        request,
        (error) => {
          if (error !== null) {
            reject(error);
            return;
          }
          const now = performance.now();
          latencies.push(now - sent);
          if (now < end) call();
          else if (--open === 0) resolve();
        },
      );
    };
    for (let i = 0; i < load.outstanding; i++) call();
  });
  const seconds = (performance.now() - start) / 1000;
  stream?.cancel();
  latencies.sort((a, b) => a - b);
  const at = (share: number): number => latencies[Math.floor(share * (latencies.length - 1))] ?? 0;
  return {
    callsPerSecond: latencies.length / seconds,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    streamMibPerSecond: streamed / 1024 / 1024 / seconds,
  };
}

const client = createClient(JSON.parse(process.argv[2] ?? "{}") as Reachable);
process.on("message", (load: Load) => {
  run(client, load).then(
    (result) => process.send?.(result),
    (error: unknown) => process.send?.({ error: String(error) }),
  );
});
process.on("disconnect", () => process.exit(0));
process.send?.("ready");
