/**
 * One virtual machine with its devices, as a process of its own: guests' memory is mapped into it, and is
 * gone with it. The guest's console is its output. It ends when QEMU does, when its input ends, as it does
 * when whoever started it is gone, and by SIGTERM, which pulls the plug: nothing in the guest can do
 * anything more.
 */
import { spawn } from "node:child_process";
import { closeSync, rmSync } from "node:fs";
import { AF_UNIX, check, loadPosix, SOCK_CLOEXEC, SOCK_STREAM } from "../../transport/posix.ts";
import { NsmDevice } from "./nsm-device.ts";
import { connectModule } from "./nsm-socket.ts";
import { type MachineOptions, qemuArguments } from "./qemu.ts";
import { type Device, VhostUserBackend } from "./vhost-user.ts";
import { VsockDevice } from "./vsock-device.ts";

/** What the process is started with, as JSON. */
export interface MachineSetup extends MachineOptions {
  /** The program, and what comes before the machine's own arguments. */
  readonly qemu: readonly string[];
  /** The VSOCK address of the guest. */
  readonly cid: number;
  /** The host's end of its VSOCK; ports of the host are beside it. */
  readonly vsockPath: string;
  /** Where `sealrpc nsm simulate` listens. */
  readonly nsmPath: string;
}

const { qemu, cid, vsockPath, nsmPath, ...options } = JSON.parse(
  process.argv[2] ?? "",
) as MachineSetup;

/** Serves a device, and gives the socket for QEMU. */
function serve(device: Device): number {
  const posix = loadPosix();
  const pair = new Uint8Array(8);
  check(posix, "socketpair", posix.socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
  const ends = new DataView(pair.buffer);
  new VhostUserBackend(ends.getInt32(0, true), device).start();
  return ends.getInt32(4, true);
}

// One that a machine before this one left.
rmSync(vsockPath, { force: true });
const vsock = new VsockDevice(cid, vsockPath);
vsock.listen();
const sockets = [serve(vsock), serve(new NsmDevice(await connectModule(nsmPath)))];
const [program = "", ...prefix] = qemu;
const child = spawn(program, [...prefix, ...qemuArguments(options)], {
  stdio: ["ignore", "inherit", "inherit", ...sockets],
});
for (const socket of sockets) closeSync(socket);
child.on("error", (error) => {
  console.error(error.message);
  process.exit(1);
});
child.on("close", (status) => process.exit(status ?? 1));
process.on("SIGTERM", () => child.kill("SIGKILL"));
process.stdin.on("end", () => process.exit(1)).resume();
