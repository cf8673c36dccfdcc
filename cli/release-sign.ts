/** `sealrpc release sign`: makes the next manifest of a service from a list of its releases. */
import { createPrivateKey, createPublicKey, type KeyObject } from "node:crypto";
import { readFile, rename, writeFile } from "node:fs/promises";
import { Command } from "commander";
import { type ReleaseManifest, signReleaseManifest } from "../attestation/index.ts";
import { parseManifestContent } from "../attestation/manifest-content.ts";
import { requireKeys } from "../attestation/release.ts";
import { parseUnverifiedManifest, verifyReleaseManifest } from "../attestation/release-manifest.ts";
import { readSignerKey } from "../services/client/policy-file.ts";
import { count } from "./arguments.ts";
import { formatJson, formatTable } from "./facts.ts";
import { usageError } from "./policy-file.ts";
import { manifestRows } from "./release-report.ts";

interface Flags {
  readonly key: string;
  readonly out: string;
  readonly init?: boolean;
  readonly previous?: string;
  readonly previousSigner?: string;
  readonly sequence?: number;
  readonly days: number;
  readonly json?: boolean;
}

const DAY_MS = 86_400_000;

const EXAMPLES = `
The list of releases is JSON:
  { "service": "notary.example.com",
    "releases": [
      { "version": "1.5.0", "status": "current", "referenceValues": [{ "pcr0": "…", "pcr1": "…", "pcr2": "…" }] },
      { "version": "1.4.2", "status": "supported", "referenceValues": [{ "pcr0": "…" }] },
      { "version": "1.3.0", "status": "revoked", "referenceValues": [{ "pcr0": "…" }] } ] }

Clients take the current release, supported ones if they ask for them, revoked ones never. Keep
revoked releases in the list, so that clients can tell them from strangers.

Each manifest has a higher sequence number than the one before, which is read from --out (or
--previous) and must be of the same service and signer. Sign again before the old one expires, even
if nothing changed.

Examples:
  sealrpc release sign releases.json --key signer.key --out notary.manifest --init
  sealrpc release sign releases.json --key signer.key --out notary.manifest --days 7

Exit status: 0 signed, 1 failed, 2 wrong usage, a list that cannot be signed, or an unsuitable key.`;

/** The command, to be registered under `release`. */
export function signCommand(): Command {
  return new Command("sign")
    .description("Sign the next manifest of a service.")
    .argument("<releases>", "the list of releases, JSON")
    .requiredOption("--key <file>", "the signer's private key, P-384, PEM")
    .requiredOption(
      "--out <file>",
      "where the manifest goes; the one that is there is the previous",
    )
    .option("--init", "there is no previous manifest: this is the first of the service")
    .option("--previous <file>", "the previous manifest, where it is not in --out")
    .option("--previous-signer <file>", "the public key that signed it, where the key was changed")
    .option("--sequence <n>", "the sequence number (default: one more than the previous)", count)
    .option("--days <n>", "how long clients may use it", count, 30)
    .option("--json", "print facts as JSON")
    .addHelpText("after", EXAMPLES)
    .action(sign);
}

async function sign(file: string, flags: Flags, command: Command): Promise<void> {
  const list = await readFile(file, "utf8");
  const key = await readPrivateKey(flags.key, command);
  const previous = await readPrevious(flags, key, command);
  const sequence = nextSequence(previous, flags, command);
  const issuedAtMs = Date.now();
  let manifest: ReleaseManifest;
  let text: string;
  try {
    const listed: unknown = JSON.parse(list);
    requireKeys(listed, ["service", "releases"], "list");
    const expiresAtMs = issuedAtMs + flags.days * DAY_MS;
    manifest = parseManifestContent({ ...listed, sequence, issuedAtMs, expiresAtMs });
    text = await signReleaseManifest(manifest, pemOf(key));
  } catch (error) {
    return usageError(command, file, error);
  }
  if (previous !== undefined && previous.service !== manifest.service) {
    fail(
      command,
      `${file}: of ${manifest.service}, but the previous manifest of ${previous.service}`,
    );
  }
  await writeWhole(flags.out, `${text}\n`);
  process.stdout.write(
    flags.json === true
      ? formatJson({ file: flags.out, ...manifest })
      : formatTable([["manifest", flags.out], ...manifestRows(manifest)]),
  );
}

async function readPrivateKey(file: string, command: Command): Promise<KeyObject> {
  const pem = await readFile(file, "utf8");
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch {
    return fail(
      command,
      `${file}: expected an unencrypted private key in PEM; release keygen makes one, openssl pkey decrypts one`,
    );
  }
  const { namedCurve } = key.asymmetricKeyDetails ?? {};
  if (namedCurve !== "secp384r1") {
    const kind = namedCurve ?? key.asymmetricKeyType;
    return fail(
      command,
      `${file}: expected a P-384 key, received ${kind}; release keygen makes one`,
    );
  }
  return key;
}

async function readPrevious(
  { out, init, previous, previousSigner }: Flags,
  key: KeyObject,
  command: Command,
): Promise<ReleaseManifest | undefined> {
  const file = previous ?? out;
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    if (init === true && previous === undefined) return undefined;
    return fail(
      command,
      `${file}: there is no previous manifest; --init makes the first one of a service, --previous names it elsewhere`,
    );
  }
  if (init === true) {
    return fail(command, `${file}: is there already, so this is not the first; leave out --init`);
  }
  const signerKey =
    previousSigner === undefined
      ? createPublicKey(key).export({ format: "pem", type: "spki" }).toString()
      : await readSignerKey(previousSigner);
  // The previous one may have expired; how long ago does not matter.
  const now = parseUnverifiedManifest(text).issuedAtMs;
  try {
    return await verifyReleaseManifest(text, { signerKey, now });
  } catch (cause) {
    const { message } = cause as Error;
    throw new Error(`${file}: ${message}; --previous-signer names the key of another signer`, {
      cause,
    });
  }
}

/** Invariant: never backwards, since clients refuse what is below what they have seen. */
function nextSequence(
  previous: ReleaseManifest | undefined,
  flags: Flags,
  command: Command,
): number {
  const last = previous?.sequence ?? 0;
  const sequence = flags.sequence ?? last + 1;
  if (sequence > last) return sequence;
  return fail(
    command,
    `--sequence ${sequence}: the previous manifest has ${last}, and clients refuse to go back`,
  );
}

function pemOf(key: KeyObject): string {
  return key.export({ format: "pem", type: "pkcs8" }).toString();
}

async function writeWhole(file: string, text: string): Promise<void> {
  await writeFile(`${file}.new`, text);
  await rename(`${file}.new`, file);
}

function fail(command: Command, message: string): never {
  return command.error(`error: ${message}`, { exitCode: 2 });
}
