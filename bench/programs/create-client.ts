/** A contender's client as its user would make it. */
import { Client, credentials } from "@grpc/grpc-js";
import { AttestedChannel } from "sealrpc";
import type { AttestedChannelOptions } from "sealrpc";
import { portableBackend } from "../../crypto/portable.ts";
import type { Reachable } from "./reachable.ts";

/** What a contender's client has of its own. */
export interface ClientTraits {
  readonly suite?: AttestedChannelOptions["suites"] extends readonly (infer Id)[] | undefined
    ? Id
    : never;
  readonly portable?: boolean;
  readonly windowBytes?: number;
}

export type ClientOptions = Reachable & ClientTraits;

export function createClient(options: ClientOptions): Client {
  const { address, trust, policy, suite, portable = false, windowBytes } = options;
  if (policy) {
    const channel = new AttestedChannel(address, {
      policy,
      ...(suite === undefined ? {} : { suites: [suite] }),
      ...(portable ? { backend: portableBackend } : {}),
    });
    return new Client(address, credentials.createInsecure(), { channelOverride: channel });
  }
  return new Client(
    address,
    trust === undefined ? credentials.createInsecure() : credentials.createSsl(Buffer.from(trust)),
    {
      "grpc.ssl_target_name_override": "localhost",
      "grpc.use_local_subchannel_pool": 1,
      ...(windowBytes === undefined ? {} : { "grpc-node.flow_control_window": windowBytes }),
    },
  );
}
