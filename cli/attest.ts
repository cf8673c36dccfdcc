/** `sealrpc attest`: opens a session with a live enclave, and prints what it verified itself to be. */
import { Command, Option } from "commander";
import { Health } from "#gen/grpc/health/v1/health_pb.js";
import {
  AttestedChannel,
  codeOf,
  createClient,
  type VerifiedEvidence,
} from "../services/client/index.ts";
import { appraisalNotes, comparedRegisters } from "./appraisal-notes.ts";
import { duration } from "./arguments.ts";
import { evidenceFacts, evidenceRows } from "./evidence-report.ts";
import { formatJson, formatTable, type Row } from "./facts.ts";
import { outerCredentials, type TlsFlags } from "./outer-credentials.ts";
import { readPolicy } from "./policy-file.ts";
import { releaseFacts, releaseRows } from "./release-report.ts";

interface Flags extends TlsFlags {
  readonly policy?: string;
  readonly timeout: number;
  readonly json?: boolean;
}

const EXAMPLES = `
Targets are gRPC's: host:port, dns:///host:port, ipv4:…, unix:/path.

Examples:
  # what is there? (the root is AWS's; measurements are printed, not compared)
  sealrpc attest api.example.com:443 --tls

  # is it what it should be?
  sealrpc attest api.example.com:443 --tls --policy policy.json

  # a simulated enclave, with the policy that it wrote
  sealrpc attest 127.0.0.1:8080 --policy policy.json

Exit status: 0 verified, 1 refused or not reached, 2 wrong usage or a bad policy.`;

/** The command, to be registered under the program. */
export function attestCommand(): Command {
  return new Command("attest")
    .description("Verify a live enclave, and print what it is.")
    .argument("<target>", "where the enclave's proxy listens")
    .option("--policy <file>", "what the enclave must be, JSON")
    .option("--tls", "speak TLS to the proxy")
    .option("--tls-ca <file>", "trust these authorities for the proxy instead of the system's, PEM")
    .addOption(
      new Option("--timeout <duration>", "how long it may take: 500ms, 5s, 2m")
        .argParser(duration)
        .default(10_000, "10s"),
    )
    .option("--json", "print facts as JSON")
    .addHelpText("after", EXAMPLES)
    .action(attest);
}

async function attest(target: string, flags: Flags, command: Command): Promise<void> {
  const stated = await readPolicy(flags.policy, command);
  const { policy } = stated;
  const credentials = await outerCredentials(flags);
  const channel = new AttestedChannel(target, { policy, credentials });
  let evidence: VerifiedEvidence;
  try {
    evidence = await evidenceOf(channel, flags.timeout);
  } catch (error) {
    if (flags.json === true) {
      const { message } = error as Error;
      process.stdout.write(
        formatJson({ verdict: "refused", code: codeOf(error) ?? null, message }),
      );
    }
    throw error;
  } finally {
    channel.close();
  }
  const notes = appraisalNotes(stated, evidence);
  for (const note of notes) console.error(`sealrpc: ${note}`);
  process.stdout.write(
    flags.json === true
      ? formatJson({
          verdict: "verified",
          notes,
          ...releaseFacts(policy, evidence),
          ...evidenceFacts(evidence),
        })
      : formatTable([
          ["verdict", "verified: a session with this enclave can be opened"],
          ...notes.map((note): Row => ["but", note]),
          ["", ""],
          ...releaseRows(policy, evidence),
          ...evidenceRows(evidence, comparedRegisters(policy, evidence)),
        ]),
  );
}

/** Evidence comes with a session, and a session with a call; any answer to it will do. */
async function evidenceOf(channel: AttestedChannel, timeoutMs: number): Promise<VerifiedEvidence> {
  let found: VerifiedEvidence | undefined;
  try {
    await createClient(Health, channel).check(
      {},
      { timeoutMs, onEvidence: (evidence) => (found = evidence) },
    );
  } catch (error) {
    // The enclave may serve no health: what counts is that it answered, sealed.
    if (found === undefined) throw error;
  }
  if (found === undefined) throw new Error("the call was answered without evidence");
  return found;
}
