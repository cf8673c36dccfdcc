#!/usr/bin/env node
/** The `sealrpc` program. Each command is a file of its own and is listed here. */
import { readFileSync } from "node:fs";
import { Command, CommanderError } from "commander";
import { attestCommand } from "./attest.ts";
import { callCommand } from "./call.ts";
import { enclaveCommand } from "./enclave.ts";
import { imageCommand } from "./image.ts";
import { inspectCommand } from "./inspect.ts";
import { nsmCommand } from "./nsm.ts";
import { proxyCommand } from "./proxy.ts";
import { releaseCommand } from "./release.ts";
import { sidecarCommand } from "./sidecar.ts";
import { verifyCommand } from "./verify.ts";

/** Every command, under the heading that help shows it. */
const groups: readonly { readonly heading: string; readonly commands: readonly Command[] }[] = [
  {
    heading: "Look at an enclave:",
    commands: [attestCommand(), verifyCommand(), inspectCommand()],
  },
  { heading: "Use an enclave:", commands: [callCommand()] },
  { heading: "On the host:", commands: [proxyCommand()] },
  { heading: "In the enclave:", commands: [enclaveCommand()] },
  { heading: "Publish a service:", commands: [imageCommand(), releaseCommand()] },
  { heading: "Beside a client in any language:", commands: [sidecarCommand()] },
  { heading: "For development:", commands: [nsmCommand()] },
];

const { version } = JSON.parse(
  readFileSync(new URL("../../package.json", import.meta.url), "utf8"),
) as { version: string };

const program = new Command("sealrpc")
  .description("gRPC that only an attested AWS Nitro Enclave can read.")
  .version(version, "-V, --version", "print the version")
  .helpOption("-h, --help", "print help, also of a command")
  .helpCommand(false)
  .addHelpText(
    "after",
    "\nExit status: 0 good, 1 refused or failed, 2 wrong usage or a bad policy; `call` has more.",
  );
for (const { heading, commands } of groups) {
  program.commandsGroup(heading);
  for (const command of commands) program.addCommand(command);
}
for (const command of withSubcommands(program)) {
  command.exitOverride().showHelpAfterError("(--help shows what is possible)");
}

// Whoever reads the output may leave before its end; the exit status still says what it would.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") process.exitCode = report(error);
});
try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = report(error);
}

function withSubcommands(command: Command): readonly Command[] {
  return [command, ...command.commands.flatMap(withSubcommands)];
}

/** Says what failed, in one line, and gives the exit status for it. */
function report(error: unknown): number {
  // Commander has printed help, or what is wrong with the usage.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  const { message, stack } = error instanceof Error ? error : new Error(String(error));
  console.error(`sealrpc: ${process.env["SEALRPC_DEBUG"] ? stack : message}`);
  return 1;
}
