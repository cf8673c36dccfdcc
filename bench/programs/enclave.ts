/** The enclave: the product's server, attesting by the simulator, on a Unix socket for VSOCK. */
import { EnclaveServer } from "sealrpc/enclave";
import { Simulator } from "sealrpc/nsm";
import { runChild } from "./child.ts";
import { echoHandlers, echoService } from "./echo-service.ts";
import { ENCLAVE_LIMITS } from "./limits.ts";
import type { Reachable } from "./reachable.ts";

interface Options {
  readonly folder: string;
  /** How long the security module takes for a document. */
  readonly nsmMs?: number;
}

runChild(async ({ folder, nsmMs = 0 }: Options) => {
  const attester = await Simulator.create({ latencyMs: nsmMs });
  const server = new EnclaveServer({ attester, limits: ENCLAVE_LIMITS });
  server.addService(echoService, echoHandlers);
  const address = await server.listen(`unix:${folder}/enclave.sock`);
  return { ready: { folder, address, policy: attester.policyOptions() } satisfies Reachable };
});
