/** `sealrpc release keygen`: makes the key pair of a signer of release manifests. */
import { generateKeyPairSync } from "node:crypto";
import { unlink, writeFile } from "node:fs/promises";
import { Command } from "commander";
import { formatTable } from "./facts.ts";

const EXAMPLES = `
Writes FILE (P-384, PKCS #8, readable by you alone) and FILE.pub (for clients), and replaces neither.
Whoever has FILE decides which images clients trust: keep it off the host and off the build machine.

Exit status: 0 written, 1 failed, 2 wrong usage.`;

/** The command, to be registered under `release`. */
export function keygenCommand(): Command {
  return new Command("keygen")
    .description("Make a key pair for signing.")
    .argument("<file>", "where the private key goes")
    .addHelpText("after", EXAMPLES)
    .action(keygen);
}

async function keygen(file: string): Promise<void> {
  const { privateKey, publicKey } = generateKeyPairSync("ec", {
    namedCurve: "P-384",
    privateKeyEncoding: { format: "pem", type: "pkcs8" },
    publicKeyEncoding: { format: "pem", type: "spki" },
  });
  const publicFile = `${file}.pub`;
  await writeFile(file, privateKey, { flag: "wx", mode: 0o600 });
  try {
    await writeFile(publicFile, publicKey, { flag: "wx" });
  } catch (error) {
    await unlink(file);
    throw error;
  }
  process.stdout.write(
    formatTable([
      ["private key", `${file}: signs manifests; keep it`],
      ["public key", `${publicFile}: for clients, as signerKeyFile`],
    ]),
  );
}
