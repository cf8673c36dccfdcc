/** `sealrpc verify`: verifies evidence from a file and prints what it says. */
import { readFile } from "node:fs/promises";
import { Command, InvalidArgumentError } from "commander";
import { decodeHex } from "../attestation/bytes.ts";
import {
  AttestationError,
  Policy,
  type ReferenceValues,
  VerifiedEvidence,
} from "../attestation/index.ts";
import { pinnableRegisters } from "../attestation/reference-values.ts";
import { duration, time } from "./arguments.ts";
import { readEvidence } from "./evidence-file.ts";
import { evidenceFacts, evidenceRows, formatTime } from "./evidence-report.ts";
import { formatJson, formatTable, type Row } from "./facts.ts";

interface Flags {
  readonly at?: number;
  readonly nonce?: Uint8Array;
  readonly pcr?: ReadonlyMap<number, string>;
  readonly root?: string;
  readonly maxAge?: number;
  readonly allowDebug?: boolean;
  readonly json?: boolean;
}

const EXAMPLES = `
Without --nonce a replay is not noticed; without --pcr any image passes, and the output says so.
The age of the document is always checked: give --at for evidence of another day.

Examples:
  sealrpc verify evidence.bin --nonce 5f1c…e2 --pcr 0=9d2a…41
  sealrpc verify archived.bin --at 2026-05-21T15:07:37.360Z
  some-client --dump-evidence | sealrpc verify - --json

Exit status: 0 verified, 1 refused or unreadable, 2 wrong usage or a bad policy.`;

/** The command, to be registered under the program. */
export function verifyCommand(): Command {
  return new Command("verify")
    .description("Verify evidence in a file, and print what the enclave is.")
    .argument("<file>", "the attestation document, as the enclave gave it; - is standard input")
    .option("--at <time>", "verify as of then: milliseconds since the epoch, or ISO 8601", time)
    .option(
      "--nonce <hex>",
      "the challenge that the document must answer, 16 bytes or more",
      challenge,
    )
    .option(
      "--pcr <n=hex>",
      "a register (0, 1, 2, 3, 4, 8) and its value; once for each",
      measurement,
    )
    .option("--root <file>", "trust this root instead of AWS's: a simulator's, PEM")
    .option(
      "--max-age <duration>",
      "the oldest document to accept: 90s, 5m (default: 5m)",
      duration,
    )
    .option("--allow-debug", "accept enclaves in debug mode, which their host can read")
    .option("--json", "print facts as JSON")
    .addHelpText("after", EXAMPLES)
    .action(verify);
}

async function verify(file: string, flags: Flags, command: Command): Promise<void> {
  const root = flags.root === undefined ? undefined : await readFile(flags.root, "utf8");
  const policy = policyOf(flags, root, command);
  const bytes = await readEvidence(file);
  const atMs = flags.at ?? Date.now();
  let evidence: VerifiedEvidence;
  try {
    evidence = VerifiedEvidence.verify(bytes, {
      policy,
      now: atMs,
      ...(flags.nonce === undefined ? {} : { challenge: flags.nonce }),
    });
  } catch (error) {
    if (flags.json === true && error instanceof AttestationError) {
      const { code, message } = error;
      process.stdout.write(formatJson({ verdict: "refused", code, message }));
    }
    throw error;
  }
  const { debug } = evidence.claims;
  const warnings = warningsOf(flags, debug);
  const omissions = omissionsOf(flags, debug);
  for (const warning of warnings) console.error(`sealrpc: ${warning}`);
  for (const omission of omissions) console.error(`sealrpc: not checked: ${omission}`);
  if (flags.json === true) {
    const verdict = { verdict: "verified", verifiedAtMs: atMs, warnings, notChecked: omissions };
    process.stdout.write(formatJson({ ...verdict, ...evidenceFacts(evidence) }));
    return;
  }
  const section = (name: string, lines: readonly string[]): Row[] =>
    lines.map((line, i) => [i === 0 ? name : "", line]);
  process.stdout.write(
    formatTable([
      ["verdict", `verified, as of ${formatTime(atMs)}`],
      ...section("warning", warnings),
      ...section("checked", checksOf(flags, policy, debug)),
      ...section("not checked", omissions),
      ["", ""],
      ...evidenceRows(evidence, comparedRegisters(flags, debug)),
    ]),
  );
}

function policyOf(flags: Flags, root: string | undefined, command: Command): Policy {
  const entries = [...pinnableRegisters].flatMap(([key, register]) => {
    const digits = flags.pcr?.get(register);
    return digits === undefined ? [] : [[key, digits] as const];
  });
  const set: ReferenceValues = Object.fromEntries(entries);
  try {
    return Policy.from({
      // Whoever names no image looks at one that they do not know yet.
      insecureAnyMeasurement: set.pcr0 === undefined,
      insecureAllowDebug: flags.allowDebug === true,
      ...(entries.length === 0 ? {} : { referenceValues: [set] }),
      ...(root === undefined ? {} : { insecureTestRoot: root }),
      ...(flags.maxAge === undefined ? {} : { maxAgeMs: flags.maxAge }),
    });
  } catch (error) {
    return command.error(`error: ${error instanceof Error ? error.message : "bad policy"}`, {
      exitCode: 2,
    });
  }
}

/** Registers that a reference value was compared with: in a debug enclave, only the host's. */
function comparedRegisters({ pcr = new Map() }: Flags, debug: boolean): ReadonlySet<number> {
  return new Set([...pcr.keys()].filter((register) => !debug || register === 3 || register === 4));
}

function checksOf(flags: Flags, policy: Policy, debug: boolean): readonly string[] {
  const compared = [...comparedRegisters(flags, debug)].sort((a, b) => a - b);
  return [
    "form of the document and of its certificates",
    `certificate chain up to ${flags.root === undefined ? "AWS's root" : `the root in ${flags.root}`}, and the document's signature`,
    "module_id, certificate name, PCR4 and time belong together",
    ...(debug ? [] : ["the enclave is not in debug mode"]),
    `age up to ${policy.maxAgeMs} ms, at most ${policy.futureSkewMs} ms ahead`,
    ...(compared.length === 0 ? [] : [`measurements: PCR${compared.join(", PCR")}`]),
    ...(flags.nonce === undefined ? [] : ["challenge"]),
  ];
}

function warningsOf({ root }: Flags, debug: boolean): readonly string[] {
  return [
    ...(debug ? ["DEBUG ENCLAVE: its host can read it, and its image is not measured"] : []),
    ...(root === undefined ? [] : ["NOT AWS'S ROOT: whoever made it can make any evidence"]),
  ];
}

function omissionsOf(flags: Flags, debug: boolean): readonly string[] {
  const compared = comparedRegisters(flags, debug);
  return [
    ...(flags.nonce === undefined ? ["challenge (--nonce): this may be a replay"] : []),
    ...(compared.size === 0 ? ["measurements (--pcr): any image would pass"] : []),
    ...(compared.size > 0 && !compared.has(0)
      ? ["PCR0 (--pcr 0=HEX): the image as a whole was not compared"]
      : []),
  ];
}

function challenge(text: string): Uint8Array {
  const bytes = decodeHex(text);
  if (bytes === undefined || bytes.length < 16) {
    throw new InvalidArgumentError("Expected 16 bytes or more in hexadecimal digits.");
  }
  return bytes;
}

function measurement(
  text: string,
  previous: ReadonlyMap<number, string> = new Map(),
): ReadonlyMap<number, string> {
  const [, register, digits] = /^(\d{1,2})=([0-9a-f]*)$/i.exec(text) ?? [];
  const known = [...pinnableRegisters.values()];
  if (register === undefined || digits === undefined || !known.includes(Number(register))) {
    throw new InvalidArgumentError(`Expected N=HEX with N of ${known.join(", ")}.`);
  }
  if (previous.has(Number(register))) {
    throw new InvalidArgumentError(`PCR${register} was there before.`);
  }
  return new Map(previous).set(Number(register), digits);
}
