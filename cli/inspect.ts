/** `sealrpc inspect`: prints what evidence in a file says, and verifies none of it. */
import { createHash } from "node:crypto";
import { Command } from "commander";
import { encodeHex, equalBytes } from "../attestation/bytes.ts";
import { type Certificate, parseCertificate } from "../attestation/certificate.ts";
import { parseEnvelope } from "../attestation/cose.ts";
import { type AttestationDocument, parseDocument } from "../attestation/document.ts";
import { decodePem } from "../attestation/pem.ts";
import { awsRootPem } from "../attestation/root.ts";
import { readEvidence } from "./evidence-file.ts";
import { formatBytes, formatMeasurement, formatTime } from "./evidence-report.ts";
import { formatJson, formatTable, type Row } from "./facts.ts";

const WARNING = "NOT VERIFIED: anyone can write what follows. Use `sealrpc verify` to rely on it.";

const EXAMPLES = `
Nothing is verified: no signature, no certificate, no time. The form must be that of an enclave's
document.

Exit status: 0 read, 1 unreadable, 2 wrong usage.`;

/** The command, to be registered under the program. */
export function inspectCommand(): Command {
  return new Command("inspect")
    .description("Print what evidence in a file says, without verifying any of it.")
    .argument("<file>", "the attestation document, as the enclave gave it; - is standard input")
    .option("--json", "print facts as JSON")
    .addHelpText("after", EXAMPLES)
    .action(inspect);
}

async function inspect(file: string, { json }: { readonly json?: boolean }): Promise<void> {
  const { payload, signature } = parseEnvelope(await readEvidence(file));
  const document = parseDocument(payload);
  console.error(`sealrpc: ${WARNING}`);
  if (json === true) {
    process.stdout.write(formatJson(factsOf(document, signature)));
    return;
  }
  process.stdout.write(
    formatTable([
      ["verdict", WARNING],
      ["", ""],
      ["module_id", document.module_id],
      ["digest", document.digest],
      ["timestamp", `${document.timestamp}  ${formatTime(document.timestamp)}`],
      ...registersOf(document).map(([register, digits]): Row => [
        `PCR${register}`,
        formatMeasurement(digits),
      ]),
      ["public_key", formatBytes(document.public_key)],
      ["user_data", formatBytes(document.user_data)],
      ["nonce", formatBytes(document.nonce)],
      ["signature", encodeHex(signature)],
      ...certificatesOf(document).flatMap(([where, encoding]) => certificateRows(where, encoding)),
    ]),
  );
}

function factsOf(document: AttestationDocument, signature: Uint8Array): object {
  const hexOrNull = (bytes: Uint8Array | undefined) =>
    bytes === undefined ? null : encodeHex(bytes);
  return {
    verified: false,
    module_id: document.module_id,
    digest: document.digest,
    timestamp: document.timestamp,
    pcrs: Object.fromEntries(registersOf(document)),
    public_key: hexOrNull(document.public_key),
    user_data: hexOrNull(document.user_data),
    nonce: hexOrNull(document.nonce),
    signature: encodeHex(signature),
    certificates: certificatesOf(document).map(([where, encoding]) =>
      certificateFacts(where, encoding),
    ),
  };
}

function registersOf({ pcrs }: AttestationDocument): (readonly [number, string])[] {
  return [...pcrs]
    .sort(([a], [b]) => a - b)
    .map(([register, value]) => [register, encodeHex(value)] as const);
}

/** From the root down to the leaf, as the document has them. */
function certificatesOf({ cabundle, certificate }: AttestationDocument) {
  const authorities = cabundle.map((encoding, i) => [`cabundle[${i}]`, encoding] as const);
  return [...authorities, ["certificate", certificate] as const];
}

function certificateRows(where: string, encoding: Uint8Array): Row[] {
  const certificate = readCertificate(where, encoding);
  if (typeof certificate === "string")
    return [
      ["", ""],
      [where, certificate],
    ];
  return [
    ["", ""],
    [
      where,
      `CN=${certificate.subject.commonName ?? ""}${isAwsRoot(encoding) ? "  (AWS's root)" : ""}`,
    ],
    ["  issuer", `CN=${certificate.issuer.commonName ?? ""}`],
    ["  serial", encodeHex(certificate.serialNumber)],
    ["  from", formatTime(certificate.notBeforeMs)],
    ["  until", formatTime(certificate.notAfterMs)],
    ["  uses", usesOf(certificate).join(", ") || "none"],
    ["  sha256", sha256(encoding)],
  ];
}

function certificateFacts(where: string, encoding: Uint8Array): object {
  const certificate = readCertificate(where, encoding);
  const facts = { where, sha256: sha256(encoding), der: encodeHex(encoding) };
  if (typeof certificate === "string") return { ...facts, fault: certificate };
  return {
    ...facts,
    awsRoot: isAwsRoot(encoding),
    subject: certificate.subject.commonName ?? null,
    issuer: certificate.issuer.commonName ?? null,
    serialNumber: encodeHex(certificate.serialNumber),
    notBeforeMs: certificate.notBeforeMs,
    notAfterMs: certificate.notAfterMs,
    uses: usesOf(certificate),
  };
}

/** The certificate, or what is wrong with its form. */
function readCertificate(where: string, encoding: Uint8Array): Certificate | string {
  try {
    return parseCertificate(encoding, where);
  } catch (error) {
    return error instanceof Error ? error.message : "unreadable";
  }
}

function usesOf({ basicConstraints, keyUsage }: Certificate): string[] {
  const { ca = false, pathLen } = basicConstraints ?? {};
  return [
    ...(ca ? [pathLen === undefined ? "CA" : `CA with pathLen ${pathLen}`] : []),
    ...(keyUsage?.keyCertSign === true ? ["keyCertSign"] : []),
    ...(keyUsage?.digitalSignature === true ? ["digitalSignature"] : []),
  ];
}

function isAwsRoot(encoding: Uint8Array): boolean {
  const root = decodePem(awsRootPem);
  return root !== undefined && equalBytes(encoding, root);
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
