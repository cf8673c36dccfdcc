/** The product's sidecar: after it the way goes on in the clear, on loopback. */
import { startSidecar } from "sealrpc/sidecar";
import { runChild } from "./child.ts";
import type { Reachable } from "./reachable.ts";

runChild(async ({ address: target, policy }: Reachable) => {
  if (policy === undefined) throw new Error("there is no enclave behind this sidecar");
  const sidecar = await startSidecar({ listen: "127.0.0.1:0", target, policy });
  await sidecar.ready();
  return { ready: { address: sidecar.address, policy: null } };
});
