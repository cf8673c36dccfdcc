/** The product's bridge, as the enclave's process before a plain application. */
import { startBridge } from "sealrpc/bridge";
import { Simulator } from "sealrpc/nsm";
import { runChild } from "./child.ts";
import { ENCLAVE_LIMITS } from "./limits.ts";
import type { Reachable } from "./reachable.ts";

runChild(async ({ folder, address: upstream }: Reachable) => {
  const attester = await Simulator.create();
  const listen = `unix:${folder}/enclave.sock`;
  const { address } = await startBridge({ listen, upstream, attester, limits: ENCLAVE_LIMITS });
  return { ready: { folder, address, policy: attester.policyOptions() } satisfies Reachable };
});
