/** The policy of a command that opens sessions: from a file, or none that names an image. */
import { readFile } from "node:fs/promises";
import { dirname } from "node:path";
import type { Command } from "commander";
import { Policy, type PolicyOptions } from "../services/client/index.ts";
import { policyOfFile } from "../services/client/policy-file.ts";

/** A policy, and what it was made of. */
export interface StatedPolicy {
  readonly policy: Policy;
  readonly options: PolicyOptions;
}

/**
 * The policy in `file`; without a file, the one that admits any image of a genuine enclave. A file
 * that holds no policy ends the command with exit status 2.
 *
 * @throws AttestationError for a release manifest that is refused, and what node:fs throws.
 */
export async function readPolicy(
  file: string | undefined,
  command: Command,
): Promise<StatedPolicy> {
  if (file === undefined) {
    const options = { insecureAnyMeasurement: true };
    return { policy: Policy.from(options), options };
  }
  try {
    return await readStatedPolicy(file);
  } catch (error) {
    return usageError(command, file, error);
  }
}

/**
 * The policy in `file`, for a command that is under way.
 *
 * @throws SyntaxError, TypeError or RangeError for a file that holds none, and as {@link readPolicy}.
 */
export async function readStatedPolicy(file: string): Promise<StatedPolicy> {
  const options = JSON.parse(await readFile(file, "utf8")) as PolicyOptions;
  return { policy: await policyOfFile(options, dirname(file)), options };
}

/** Ends the command with exit status 2 for what the user wrote wrong; throws every other error. */
export function usageError(command: Command, file: string, error: unknown): never {
  const isUsage =
    error instanceof SyntaxError || error instanceof TypeError || error instanceof RangeError;
  if (!isUsage) throw error;
  return command.error(`error: ${file}: ${error.message}`, { exitCode: 2 });
}
