/** A connection of its own, ready for calls, and nothing sent. */
import { AttestedChannel } from "sealrpc";
import { channelOptions, type ClientOptions, createClient } from "./create-client.ts";

import { connectCredulously } from "./credulous-client.ts";

const READY_TIMEOUT_MS = 60_000;

export interface Connection {
  close(): void;
}

/** @throws what keeps it from becoming ready. */
export async function connectOnce(options: ClientOptions): Promise<Connection> {
  if (options.credulous) return connectCredulously(options.address);
  if (options.policy) {
    const channel = new AttestedChannel(options.address, channelOptions(options, options.policy));
    try {
      await channel.ready(READY_TIMEOUT_MS);
    } catch (error) {
      channel.close();
      throw error;
    }
    return channel;
  }
  const client = createClient(options);
  await new Promise<void>((resolve, reject) => {
    client.waitForReady(Date.now() + READY_TIMEOUT_MS, (error) =>
      error === undefined ? resolve() : reject(error),
    );
  });
  return client;
}
