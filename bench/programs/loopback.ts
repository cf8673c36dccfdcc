/** Addresses of the benchmark's own processes. */
import { once } from "node:events";
import type { AddressInfo, NetConnectOpts, Server } from "node:net";

/** Where a `host:port` or `unix:/path` is dialled. */
export function socketOptions(address: string): NetConnectOpts {
  if (address.startsWith("unix:")) return { path: address.slice("unix:".length) };
  const [host = "", port = ""] = address.split(":");
  return { host, port: Number(port), noDelay: true };
}

/** Listens on a free port; gives the address. */
export async function listenOnLoopback(
  server: Pick<Server, "listen" | "address">,
): Promise<string> {
  const listening = server.listen(0, "127.0.0.1");
  await once(listening, "listening");
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}
