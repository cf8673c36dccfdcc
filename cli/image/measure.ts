/** `sealrpc image measure`: the measurements that an enclave of an image will have. */
import { Command } from "commander";
import { readImageFile } from "../../image/index.ts";
import { formatJson, formatTable } from "../facts.ts";
import { measurementFacts, measurementRows } from "./measurements.ts";

const NOTES = `
Any image of versions 2 to 4, whoever built it. Names are those of a policy's reference values with
--json. PCR8 is that of the signer, whose signature is verified; without one PCR8 is zero.

Example:
  sealrpc image measure notary.eif --json > reference-values.json

Exit status: 0 measured, 1 refused or unreadable, 2 wrong usage.`;

export function measureCommand(): Command {
  return new Command("measure")
    .description("Print PCR0, PCR1, PCR2 and, when it is signed, PCR8 of an image.")
    .argument("<file>", "the image")
    .option("--json", "print facts as JSON")
    .addHelpText("after", NOTES)
    .action((file: string, { json }: { readonly json?: boolean }) => {
      const { measurements } = readImageFile(file);
      process.stdout.write(
        json === true
          ? formatJson(measurementFacts(measurements))
          : formatTable(measurementRows(measurements)),
      );
    });
}
