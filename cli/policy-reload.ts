/** SIGHUP: a long-running command takes its policy as the file has it now. */
import type { Logger } from "pino";
import type { Policy } from "../services/client/index.ts";
import { readStatedPolicy } from "./policy-file.ts";

/** From now on; a policy that cannot be used leaves the old one in place. */
export function reloadOnHangup(
  file: string,
  logger: Logger,
  update: (policy: Policy) => void | Promise<void>,
): void {
  process.on("SIGHUP", () => void reload(file, logger, update));
}

async function reload(
  file: string,
  logger: Logger,
  update: (policy: Policy) => void | Promise<void>,
): Promise<void> {
  try {
    const { policy } = await readStatedPolicy(file);
    await update(policy);
    const { service, sequence } = policy.manifest ?? {};
    logger.info({ service, sequence }, "policy read again");
  } catch (error) {
    logger.warn(
      { reason: (error as Error).message },
      "the policy cannot be used: the old one stays",
    );
  }
}
