/** How a long-running command ends: the first signal drains, the second one stops at once. */

/** Milliseconds that open streams get after the first signal. */
const GRACE_MS = 30_000;

/**
 * Resolves when the first SIGTERM or SIGINT came and `close` has finished; exits with 1 on the
 * second.
 */
export async function drainOnSignal(
  close: (graceMs: number) => Promise<void>,
  onDrain: (signal: string) => void,
): Promise<void> {
  const signal = await new Promise<string>((resolve) => {
    process.once("SIGTERM", resolve).once("SIGINT", resolve);
  });
  const stop = (): never => process.exit(1);
  process.once("SIGTERM", stop).once("SIGINT", stop);
  onDrain(signal);
  await close(GRACE_MS);
  process.off("SIGTERM", stop).off("SIGINT", stop);
}
