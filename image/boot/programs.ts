/** The two boot programs as static executables of a few hundred bytes: what busybox cannot do. */
import type { Architecture } from "../layout.ts";
import { encodeStaticElf } from "./static-elf.ts";
import { machineCode } from "./machine-code.ts";

const AF_VSOCK = 40;
/** Where nitro-cli on the parent instance waits for the heartbeat. */
const HEARTBEAT_PORT = 9000;
/** How long a path may be in the data of `seed`, its final NUL included. */
const PATH_BYTES = 64;

/** The program that tells the parent that the enclave runs. */
export function heartbeatProgram(architecture: Architecture, parentCid: number): Uint8Array {
  const sockaddr = new Uint8Array(16);
  const view = new DataView(sockaddr.buffer);
  view.setUint16(0, AF_VSOCK, true);
  view.setUint32(4, HEARTBEAT_PORT, true);
  view.setUint32(8, parentCid, true);
  return heartbeatTo(architecture, sockaddr);
}

/** The same to any address, a `struct sockaddr`. */
export function heartbeatTo(architecture: Architecture, sockaddr: Uint8Array): Uint8Array {
  const data = new Uint8Array(4 + sockaddr.length);
  new DataView(data.buffer).setUint32(0, sockaddr.length, true);
  data.set(sockaddr, 4);
  return encodeStaticElf(architecture, machineCode("heartbeat", architecture), data);
}

/** The program that makes the kernel's generator depend on bytes of `source`. */
export function seedProgram(
  architecture: Architecture,
  source: string = "/dev/hwrng",
  pool: string = "/dev/urandom",
): Uint8Array {
  const data = new Uint8Array(2 * PATH_BYTES);
  [source, pool].forEach((path, i) => {
    const bytes = new TextEncoder().encode(path);
    if (bytes.length >= PATH_BYTES) throw new RangeError(`${path} is longer than 63 bytes`);
    data.set(bytes, i * PATH_BYTES);
  });
  return encodeStaticElf(architecture, machineCode("seed", architecture), data);
}
