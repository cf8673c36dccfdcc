/** `--vsock-buffer`, of both ends of a VSOCK connection. */
import { Option } from "commander";
import { count } from "./arguments.ts";

/** The flag. */
export function vsockBufferOption(): Option {
  return new Option(
    "--vsock-buffer <bytes>",
    "what the kernel takes in ahead on vsock: addresses; see below (default: 28672)",
  ).argParser(count);
}

/** What the help says below. */
export const VSOCK_BUFFER_NOTE = `\
On vsock: addresses the kernel takes in 28 KiB ahead, since several kernels lose or corrupt packets
above 32 KiB. If large messages stall, the device may report only later what it took: raise
--vsock-buffer at both ends, to 262144 for instance.`;
