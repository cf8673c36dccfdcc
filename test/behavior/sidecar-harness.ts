/** A plain grpc-js client, the sidecar, the host's proxy and EnclaveServer, with forwarders between. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as grpc from "@grpc/grpc-js";
import { Simulator } from "../../attestation/nsm/simulator.ts";
import { EnclaveServer } from "../../services/enclave/index.ts";
import { startProxy } from "../../services/proxy/index.ts";
import { startSidecar } from "../../services/sidecar/index.ts";
import { SILENT } from "../support/enclave.ts";
import { Forwarder } from "../support/forwarder.ts";
import { behaviorHandlers } from "./handlers.ts";
import { type Harness, linkOf, MESSAGE_LIMIT_BYTES } from "./harness.ts";
import { serverInterceptor } from "./interceptor-cases.ts";
import { Ledger } from "./ledger.ts";
import { BehaviorClient, behaviorDefinition, plainOptions } from "./service.ts";

export async function startThroughSidecar(): Promise<Harness> {
  const folder = mkdtempSync(join(tmpdir(), "sidecar-"));
  const [enclaveSocket, backSocket] = [join(folder, "enclave"), join(folder, "back")];
  const ledger = new Ledger();
  const simulator = await Simulator.create();
  const server = new EnclaveServer({
    attester: simulator,
    maxReceiveMessageBytes: MESSAGE_LIMIT_BYTES,
    interceptors: [serverInterceptor],
    logger: SILENT,
  });
  server.addService(behaviorDefinition, behaviorHandlers(ledger));
  await server.listen(`unix:${enclaveSocket}`);
  const back = await Forwarder.start({ path: enclaveSocket }, backSocket);
  const proxy = await startProxy({ listen: "127.0.0.1:0", enclave: `unix:${backSocket}` });
  const sidecar = await startSidecar({
    listen: "127.0.0.1:0",
    target: proxy.address,
    policy: simulator.policyOptions(),
  });
  const [host = "", port] = sidecar.address.split(":");
  const front = await Forwarder.start({ host, port: Number(port) });
  return {
    ledger,
    links: [linkOf("client to sidecar", front), linkOf("proxy to enclave", back)],
    client: (interceptors) =>
      new BehaviorClient(
        `127.0.0.1:${front.port}`,
        grpc.credentials.createInsecure(),
        plainOptions(interceptors),
      ),
    async close() {
      await front.down();
      await sidecar.close(0);
      await proxy.close(0);
      await back.down();
      await server.close();
      rmSync(folder, { recursive: true });
    },
  };
}
