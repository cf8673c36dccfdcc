/** `sealrpc release show`: prints what a manifest says, without verifying it. */
import { readFile } from "node:fs/promises";
import { Command } from "commander";
import { parseUnverifiedManifest } from "../attestation/release-manifest.ts";
import { formatJson, formatTable } from "./facts.ts";
import { manifestRows } from "./release-report.ts";

const UNVERIFIED = "NOT VERIFIED: anyone can write such a file; use release verify";

interface Flags {
  readonly json?: boolean;
}

/** The command, to be registered under `release`. */
export function showCommand(): Command {
  return new Command("show")
    .description("Print what a manifest says, without verifying it.")
    .argument("<manifest>", "the file")
    .option("--json", "print facts as JSON")
    .addHelpText(
      "after",
      "\nExit status: 0 printed, 1 not a manifest or unreadable, 2 wrong usage.",
    )
    .action(show);
}

async function show(file: string, { json }: Flags): Promise<void> {
  const manifest = parseUnverifiedManifest(await readFile(file, "utf8"));
  console.error(`sealrpc: ${UNVERIFIED}`);
  process.stdout.write(
    json === true
      ? formatJson({ verdict: "not verified", ...manifest })
      : formatTable([["verdict", UNVERIFIED], ...manifestRows(manifest)]),
  );
}
