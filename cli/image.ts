/** `sealrpc image`: builds enclave images, and says what they are and how they will be measured. */
import { Command } from "commander";
import { buildCommand } from "./image/build.ts";
import { inspectImageCommand } from "./image/inspect.ts";
import { measureCommand } from "./image/measure.ts";

/** The command, to be registered under the program. */
export function imageCommand(): Command {
  return new Command("image")
    .description("Build enclave images, and read and measure any.")
    .helpCommand(false)
    .addCommand(buildCommand())
    .addCommand(measureCommand())
    .addCommand(inspectImageCommand());
}
