/** A plain grpc-js client, the sidecar, the host's proxy and EnclaveServer, with forwarders between. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Simulator } from "../../attestation/nsm/simulator.ts";
import { EnclaveServer } from "../../services/enclave/index.ts";
import { SILENT } from "../support/enclave.ts";
import { Forwarder } from "../support/forwarder.ts";
import { behaviorHandlers } from "./handlers.ts";
import { type Harness, linkOf } from "./harness.ts";
import { serverInterceptor } from "./interceptor-cases.ts";
import { Ledger } from "./ledger.ts";
import { behaviorDefinition, MESSAGE_LIMIT_BYTES } from "./service.ts";
import { startSidecarFront } from "./sidecar-front.ts";

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
  const front = await startSidecarFront(backSocket, simulator.policyOptions());
  return {
    ledger,
    links: [front.link, linkOf("proxy to enclave", back)],
    client: front.client,
    async close() {
      await front.close();
      await back.down();
      await server.close();
      rmSync(folder, { recursive: true });
    },
  };
}
