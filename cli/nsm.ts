/** `sealrpc nsm`: the security module of an enclave, for machines that have none. */
import { Command } from "commander";
import { simulateCommand } from "./nsm/simulate.ts";

/** The command, to be registered under the program. */
export function nsmCommand(): Command {
  return new Command("nsm")
    .description("Stand in for the security module of an enclave, on machines without one.")
    .helpCommand(false)
    .addCommand(simulateCommand());
}
