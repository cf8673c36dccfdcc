#!/usr/bin/env node
/** The `sealrpc` program: one command a file. */
import { readFileSync } from "node:fs";
import { Command, CommanderError } from "commander";
import { proxyCommand } from "./proxy.ts";

const { version } = JSON.parse(
  readFileSync(new URL("../../package.json", import.meta.url), "utf8"),
) as { version: string };

const program = new Command("sealrpc")
  .description("gRPC that only an attested AWS Nitro Enclave can read.")
  .version(version);
for (const command of [proxyCommand()]) {
  program.addCommand(command.exitOverride());
}

try {
  await program.exitOverride().parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    // Commander has said what is wrong; its own errors are errors of usage.
    process.exitCode = error.exitCode === 0 ? 0 : 2;
  } else {
    process.stderr.write(`sealrpc: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }
}
