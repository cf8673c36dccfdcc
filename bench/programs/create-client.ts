/** A contender's client as its user would make it. */
import { Client, credentials } from "@grpc/grpc-js";
import { AttestedChannel } from "sealrpc";
import type { AttestedChannelOptions } from "sealrpc";
import { portableBackend } from "../../crypto/portable.ts";
import type { Reachable } from "./reachable.ts";

/** What a contender's client has of its own. */
export interface ClientTraits {
  readonly suite?: NonNullable<AttestedChannelOptions["suites"]>[number];
  readonly portable?: boolean;
  readonly windowBytes?: number;
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
