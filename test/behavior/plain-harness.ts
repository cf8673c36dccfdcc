/** The reference: grpc-js at both ends, and a forwarder that can be cut between them. */
import * as grpc from "@grpc/grpc-js";
import { Forwarder } from "../support/forwarder.ts";
import { behaviorHandlers } from "./handlers.ts";
import { type Harness, linkOf } from "./harness.ts";
import { serverInterceptor } from "./interceptor-cases.ts";
import { Ledger } from "./ledger.ts";
import {
  BehaviorClient,
  behaviorDefinition,
  MESSAGE_LIMIT_BYTES,
  plainOptions,
} from "./service.ts";

export async function startPlain(): Promise<Harness> {
  const ledger = new Ledger();
  const server = new grpc.Server({
    "grpc.max_receive_message_length": MESSAGE_LIMIT_BYTES,
    interceptors: [serverInterceptor],
  });
  server.addService(behaviorDefinition, behaviorHandlers(ledger));
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  const forwarder = await Forwarder.start({ host: "127.0.0.1", port });
  return {
    ledger,
    links: [linkOf("connection", forwarder)],
    client: (interceptors) =>
      new BehaviorClient(
        `127.0.0.1:${forwarder.port}`,
        grpc.credentials.createInsecure(),
        plainOptions(interceptors),
      ),
    async close() {
      await forwarder.down();
      server.forceShutdown();
    },
  };
}
