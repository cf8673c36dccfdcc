/** The policy of a command that opens sessions: from a file, or none that names an image. */
import { readFile } from "node:fs/promises";
import type { Command } from "commander";
import { Policy, type PolicyOptions } from "../services/client/index.ts";

/** A policy, and what it was made of. */
export interface StatedPolicy {
  readonly policy: Policy;
  readonly options: PolicyOptions;
}

/**
 * The policy in `file`; without a file, the one that admits any image of a genuine enclave. A file
 * that holds no policy ends the command with exit status 2.
 */
export async function readPolicy(
  file: string | undefined,
  command: Command,
): Promise<StatedPolicy> {
  const text = file === undefined ? undefined : await readFile(file, "utf8");
  try {
    const options =
      text === undefined ? { insecureAnyMeasurement: true } : (JSON.parse(text) as PolicyOptions);
    return { policy: Policy.from(options), options };
  } catch (error) {
    const where = file === undefined ? "" : `${file}: `;
    return command.error(`error: ${where}${(error as Error).message}`, { exitCode: 2 });
  }
}
