/** Which addresses never leave this machine. */
import { BlockList, isIP } from "node:net";

import type { Address } from "./address.ts";

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet("127.0.0.0", 8);
LOOPBACK.addAddress("::1", "ipv6");

/** Whether only processes of this machine can be at the other end: a Unix socket, or loopback. */
export function isLocal(address: Address): boolean {
  if (address.kind === "unix") return true;
  if (address.kind !== "tcp") return false;
  const { host } = address;
  if (host === "localhost") return true;
  const family = isIP(host);
  return family !== 0 && LOOPBACK.check(host, family === 4 ? "ipv4" : "ipv6");
}
