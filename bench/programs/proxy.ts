/** The product's proxy. */
import { startProxy } from "sealrpc/proxy";
import { runChild } from "./child.ts";
import { PROXY_LIMITS } from "./limits.ts";
import type { Reachable } from "./reachable.ts";

runChild(async ({ address: enclave }: Reachable) => {
  const proxy = await startProxy({ listen: "127.0.0.1:0", enclave, limits: PROXY_LIMITS });
  return { ready: { address: proxy.address } };
});
