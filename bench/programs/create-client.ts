/** A contender's client as its user would make it. */
import { Client, credentials } from "@grpc/grpc-js";
import { AttestedChannel, createClient as createTypedClient } from "sealrpc";
import type { AttestedChannelOptions } from "sealrpc";
import { portableBackend } from "../../crypto/portable.ts";
import { type EchoClient, typedEchoService } from "./typed-echo-service.ts";
import type { Reachable } from "./reachable.ts";

/** What a contender's client has of its own. */
export interface ClientTraits {
  readonly suite?: NonNullable<AttestedChannelOptions["suites"]>[number];
  readonly portable?: boolean;
  readonly windowBytes?: number;
  /** Calls by sealrpc's own `createClient`, without a stub; unary ones only. */
  readonly typed?: boolean;
  /** Verifies nothing; for handshakes only. */
  readonly credulous?: boolean;
}

export type ClientOptions = Reachable & ClientTraits;

export function createClient(options: ClientOptions): Client {
  const { address, trust, policy, windowBytes } = options;
  if (policy) {
    const channel = new AttestedChannel(address, channelOptions(options, policy));
    return new Client(address, credentials.createInsecure(), { channelOverride: channel });
  }
  return new Client(
    address,
    trust === undefined ? credentials.createInsecure() : credentials.createSsl(Buffer.from(trust)),
    {
      "grpc.ssl_target_name_override": "localhost",
      // A connection of its own, as an attested channel has.
      "grpc.use_local_subchannel_pool": 1,
      ...(windowBytes === undefined ? {} : { "grpc-node.flow_control_window": windowBytes }),
    },
  );
}

export function createEchoClient(options: ClientOptions): EchoClient {
  const { address, policy } = options;
  if (!policy) throw new Error("only an attested channel has typed clients");
  const channel = new AttestedChannel(address, channelOptions(options, policy));
  return createTypedClient(typedEchoService, channel) as unknown as EchoClient;
}

export function channelOptions(
  { suite, portable = false }: ClientTraits,
  policy: NonNullable<Reachable["policy"]>,
): AttestedChannelOptions {
  return {
    policy,
    ...(suite === undefined ? {} : { suites: [suite] }),
    ...(portable ? { backend: portableBackend } : {}),
  };
}
