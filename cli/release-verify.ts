/** `sealrpc release verify`: says of a manifest what a client would. */
import { readFile } from "node:fs/promises";
import { Command } from "commander";
import { AttestationError, type Policy, type ReleaseManifest } from "../attestation/index.ts";
import { policyOfManifest, readSignerKey } from "../services/client/policy-file.ts";
import { count, time } from "./arguments.ts";
import { formatTime } from "./evidence-report.ts";
import { formatJson, formatTable, type Row } from "./facts.ts";
import { usageError } from "./policy-file.ts";
import { manifestRows } from "./release-report.ts";

interface Flags {
  readonly signer: readonly string[];
  readonly service?: string;
  readonly lastSequence?: number;
  readonly state?: string;
  readonly at?: number;
  readonly json?: boolean;
}

const EXAMPLES = `
Without --state and --last-sequence an older manifest that has not expired is not noticed, and the
output says so. Without --service that of any service of the signer passes.

Examples:
  sealrpc release verify notary.manifest --signer notary.pub --service notary.example.com
  sealrpc release verify notary.manifest --signer notary.pub --state ~/.notary.state

Exit status: 0 verified, 1 refused or unreadable (the code is on stderr), 2 wrong usage.`;

/** The command, to be registered under `release`. */
export function verifyManifestCommand(): Command {
  return new Command("verify")
    .description("Verify a manifest as a client does, and print what it says.")
    .argument("<manifest>", "the file")
    .requiredOption(
      "--signer <file>",
      "the signer's public key, PEM or JWK; again for another one that will do",
      (file: string, files: readonly string[] | undefined) => [...(files ?? []), file],
    )
    .option("--service <name>", "whose releases they must be")
    .option("--last-sequence <n>", "the lowest sequence number to accept", count)
    .option("--state <file>", "remember the highest sequence number here, and accept no lower one")
    .option("--at <time>", "verify as of then: milliseconds since the epoch, or ISO 8601", time)
    .option("--json", "print facts as JSON")
    .addHelpText("after", EXAMPLES)
    .action(verify);
}

async function verify(file: string, flags: Flags, command: Command): Promise<void> {
  const text = await readFile(file, "utf8");
  const atMs = flags.at ?? Date.now();
  let manifest: ReleaseManifest | undefined;
  try {
    ({ manifest } = await policyOf(text, atMs, flags));
  } catch (error) {
    if (flags.json === true && error instanceof AttestationError) {
      const { code, message } = error;
      process.stdout.write(formatJson({ verdict: "refused", code, message }));
    }
    return usageError(command, file, error);
  }
  if (manifest === undefined) throw new Error("a policy without its manifest");
  const omissions = omissionsOf(flags);
  for (const omission of omissions) console.error(`sealrpc: not checked: ${omission}`);
  process.stdout.write(
    flags.json === true
      ? formatJson({ verdict: "verified", verifiedAtMs: atMs, notChecked: omissions, ...manifest })
      : formatTable([
          ["verdict", `verified, as of ${formatTime(atMs)}`],
          ...omissions.map((omission): Row => ["not checked", omission]),
          ...manifestRows(manifest),
        ]),
  );
}

async function policyOf(text: string, now: number, flags: Flags): Promise<Policy> {
  const { service, lastSequence } = flags;
  return policyOfManifest(
    text,
    {
      signerKey: await Promise.all(flags.signer.map(readSignerKey)),
      now,
      ...(service === undefined ? {} : { service }),
      ...(lastSequence === undefined ? {} : { lastSequence }),
    },
    flags.state,
  );
}

function omissionsOf({ service, lastSequence, state }: Flags): readonly string[] {
  return [
    ...(service === undefined && state === undefined
      ? ["service (--service): any service of this signer would pass"]
      : []),
    ...(lastSequence === undefined && state === undefined
      ? ["sequence (--state): an older manifest would pass until it expires"]
      : []),
  ];
}
