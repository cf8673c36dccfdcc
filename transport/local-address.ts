/** Where a sidecar may listen: whoever connects to it speaks as the client. */
import { BlockList, isIPv4 } from "node:net";

import type { Address } from "../../transport/address.ts";

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet("127.0.0.0", 8);
LOOPBACK.addAddress("::1", "ipv6");

/** Whether only this machine's own processes can connect to an address. */
export function isLocal(address: Address): boolean {
  if (address.kind === "unix") return true;
  if (address.kind !== "tcp") return false;
  const { host } = address;
  return host === "localhost" || LOOPBACK.check(host, isIPv4(host) ? "ipv4" : "ipv6");
}
