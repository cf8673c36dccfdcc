/**
 * The first program of an enclave, for busybox's shell. It starts the application only when the kernel's
 * randomness comes from the security module, and depends on it already (docs/image.md).
 */
export const initScript = `#!/bin/busybox sh
# First program of the enclave: prepares it, then starts the application and waits for its end.
export PATH=/bin
umask 022

finish() {
  sleep 1
  reboot -f
  # The kernel panics when its first program ends, and ends the enclave then.
  exit 1
}

refuse() {
  echo "init: $1; the application is not started"
  finish
}

mount -t proc -o nosuid,nodev,noexec proc /proc || refuse "/proc cannot be mounted"
mount -t sysfs -o nosuid,nodev,noexec sysfs /sys || refuse "/sys cannot be mounted"
mount -t devtmpfs -o nosuid,noexec devtmpfs /dev || refuse "/dev cannot be mounted"

for module in /modules/*.ko; do
  [ -e "$module" ] || continue
  insmod "$module" || refuse "$module does not load"
done
ip link set lo up || refuse "the loopback interface does not come up"

# No key may be made before this: whatever else the kernel mixes in, the host could know or repeat.
source=/sys/devices/virtual/misc/hw_random/rng_current
[ "$(cat $source)" = nsm-hwrng ] || echo nsm-hwrng > $source
[ "$(cat $source)" = nsm-hwrng ] || refuse "randomness does not come from the security module"
timeout 30 seed || refuse "the security module gives no randomness (step $?)"

# Tells the parent that the enclave runs. Without an answer it runs all the same: that is its business.
timeout 10 heartbeat || echo "init: no answer to the heartbeat (step $?)"

for place in proc sys dev; do
  mount -o bind /$place /rootfs/$place || refuse "/$place cannot be mounted for the application"
done
ulimit -n 65536 || refuse "the limit of open files cannot be raised"
sh /start < /dev/null
echo "init: the application has ended with status $?"
finish
`;

/** Programs of busybox that the script uses, by the names of their links. */
export const initApplets: readonly string[] = [
  "cat",
  "chroot",
  "env",
  "insmod",
  "ip",
  "mount",
  "reboot",
  "sh",
  "sleep",
  "timeout",
];

/** What runs in the root file system of the application, as root, with nothing in its environment but this. */
export interface StartCommand {
  /** The program's path in the application's root file system, then its arguments. */
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}

/** The script that starts the application; it is measured with the application. */
export function startScript({ command, environment }: StartCommand): string {
  const assignments = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
  const words = ["env", "-i", ...assignments, "/bin/chroot", "/rootfs", ...command];
  return `#!/bin/busybox sh\nexec ${words.map(quote).join(" ")}\n`;
}

/** One word of a shell, whatever is in it. */
function quote(word: string): string {
  return /^[\w./:=@%+,-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
