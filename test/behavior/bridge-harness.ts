/**
 * Plain grpc-js at both ends: a client before the sidecar, a server behind the bridge, the host's
 * proxy between them, and forwarders that can be cut.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as grpc from "@grpc/grpc-js";
import { Simulator } from "../../attestation/nsm/simulator.ts";
import { startBridge } from "../../services/bridge/index.ts";
import { Forwarder } from "../support/forwarder.ts";
import { behaviorHandlers } from "./handlers.ts";
import { type Harness, linkOf } from "./harness.ts";
import { serverInterceptor } from "./interceptor-cases.ts";
import { Ledger } from "./ledger.ts";
import { behaviorDefinition, MESSAGE_LIMIT_BYTES } from "./service.ts";
import { startSidecarFront } from "./sidecar-front.ts";

export async function startThroughBridge(): Promise<Harness> {
  const folder = mkdtempSync(join(tmpdir(), "bridge-"));
  const [application, upstream, enclave] = ["app", "upstream", "enclave"].map((name) =>
    join(folder, name),
  ) as [string, string, string];
  const ledger = new Ledger();
  const server = new grpc.Server({
    "grpc.max_receive_message_length": MESSAGE_LIMIT_BYTES,
    interceptors: [serverInterceptor],
  });
  server.addService(behaviorDefinition, behaviorHandlers(ledger));
  await new Promise<void>((resolve, reject) => {
    const insecure = grpc.ServerCredentials.createInsecure();
    server.bindAsync(`unix:${application}`, insecure, (error) =>
      error ? reject(error) : resolve(),
    );
  });
  const simulator = await Simulator.create();
  const back = await Forwarder.start({ path: application }, upstream);
  const bridge = await startBridge({
    listen: `unix:${enclave}`,
    upstream: `unix:${upstream}`,
    attester: simulator,
  });
  const front = await startSidecarFront(enclave, simulator.policyOptions());
  return {
    ledger,
    links: [front.link, linkOf("bridge to application", back)],
    client: front.client,
    async close() {
      await front.close();
      await bridge.close(0);
      await back.down();
      server.forceShutdown();
      rmSync(folder, { recursive: true });
    },
  };
}
