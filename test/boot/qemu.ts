/** How QEMU is started: a machine without anything but a console and the two devices of an enclave. */
import { readFileSync } from "node:fs";

/** What of an image the machine starts with, and where it stands. */
export interface MachineOptions {
  readonly kernel: string;
  readonly ramdisks: string;
  readonly commandLine: string;
  readonly memoryMib: number;
}

/** QEMU knows no such device, but leaves everything of one of this number to its back-end. */
const NSM_DEVICE = "vhost-user-test-device,chardev=nsm,virtio-id=33,num_vqs=1,vq_size=64";

/** Descriptors 3 and 4 are the sockets of the back-ends, VSOCK and security module. */
export function qemuArguments(options: MachineOptions): readonly string[] {
  const { kernel, ramdisks, commandLine, memoryMib } = options;
  const memory = `memory-backend-memfd,id=memory,size=${memoryMib}M,share=on`;
  return [
    // ACPI announces the devices: Debian's kernel does not read them from its command line.
    ["-M", "microvm,acpi=on,memory-backend=memory"],
    ["-object", memory, "-m", `${memoryMib}M`],
    ["-accel", "tcg", "-cpu", "max", "-smp", "1"],
    ["-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio", "-no-reboot"],
    // However the process that starts it ends, the machine ends with it.
    ["-run-with", "exit-with-parent=on"],
    ["-kernel", kernel, "-initrd", ramdisks, "-append", `${commandLine} ${unmeasured()}`],
    ["-chardev", "socket,id=vsock,fd=3", "-device", "vhost-user-vsock-device,chardev=vsock"],
    ["-chardev", "socket,id=nsm,fd=4", "-device", NSM_DEVICE],
  ].flat();
}

/**
 * What this machine needs of the kernel beyond the image's own command line. Without the frequency of its
 * clock the kernel measures it, against clocks that this machine does not have, and hangs when the host is
 * busy. TCG's is the host's.
 */
function unmeasured(): string {
  const bogomips = /bogomips\s*:\s*([\d.]+)/.exec(readFileSync("/proc/cpuinfo", "utf8"))?.[1];
  const khz = Math.floor(Number(bogomips) * 500);
  return `reboot=t panic=1 tsc_early_khz=${khz}`;
}
