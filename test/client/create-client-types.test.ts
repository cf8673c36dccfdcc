import { describe, it } from "node:test";

import type { ServiceDefinition } from "@grpc/grpc-js";

import type { BehaviorService, UnaryResponse } from "#gen/behavior/v1/behavior_pb.js";
import { NotaryService } from "#gen/notary/v1/notary_pb.js";
import type { AttestedChannelOptions } from "../../services/client/channel-options.ts";
import type { Client } from "../../services/client/create-client.ts";
import { serviceDefinition } from "../../services/grpc/service-definition.ts";

/** Never called: what must not compile, and what must. */
export async function typesOf(client: Client<typeof BehaviorService>): Promise<void> {
  const reply: UnaryResponse = await client.unary({ payload: { text: "" } });
  void reply;
  // @ts-expect-error a field that the message does not have
  await client.unary({ payload: { txt: "" } });
  // @ts-expect-error a value of another type
  await client.unary({ payload: { text: 1 } });
  // @ts-expect-error one message where many are due
  await client.collect({ payload: {} });
  // @ts-expect-error many messages where one is due
  client.expand([{}]);
  // @ts-expect-error an option that there is not
  await client.unary({}, { deadline: 1 });
  // @ts-expect-error a method that there is not
  void client.unari;
  for await (const { payload } of client.chat([{ payload: { number: 1 } }])) {
    // @ts-expect-error a field that the answer does not have
    void payload?.nothing;
  }
}

const grpcDefinition: ServiceDefinition = {};

/** What declares idempotency: descriptors, our definitions of them, and grpc-js's own. */
export const services: AttestedChannelOptions["services"] = [
  NotaryService,
  serviceDefinition(NotaryService),
  grpcDefinition,
];

describe("the types of a client", () => {
  it("are those of its descriptor", () => {
    // Compiling this file is the test.
  });
});
