/** `sealrpc image inspect`: everything that an image says of itself. */
import { X509Certificate } from "node:crypto";
import { Command } from "commander";
import { type EnclaveImage, readImageFile } from "../../image/index.ts";
import { formatJson, formatTable, type Row } from "../facts.ts";
import { measurementFacts, measurementRows } from "./measurements.ts";

const NOTES = `
Metadata is in no measurement: anyone can write it into a copy of the image that measures the same.

Exit status: 0 read, 1 refused or unreadable, 2 wrong usage.`;

export function inspectImageCommand(): Command {
  return new Command("inspect")
    .description("Print sections, command line, metadata, signer and measurements of an image.")
    .argument("<file>", "the image")
    .option("--json", "print facts as JSON")
    .addHelpText("after", NOTES)
    .action((file: string, { json }: { readonly json?: boolean }) => {
      const image = readImageFile(file);
      process.stdout.write(json === true ? formatJson(factsOf(image)) : formatTable(rowsOf(image)));
    });
}

function factsOf(image: EnclaveImage): object {
  const { version, architecture, commandLine, metadata = null } = image;
  return {
    version,
    architecture,
    memoryBytes: Number(image.memoryBytes),
    cpus: Number(image.cpus),
    sections: image.sections,
    commandLine,
    metadata,
    signer: signerOf(image) ?? null,
    measurements: measurementFacts(image.measurements),
  };
}

function rowsOf(image: EnclaveImage): readonly Row[] {
  const signer = signerOf(image);
  return [
    ["version", `${image.version}`],
    ["architecture", image.architecture],
    ["asks for", `${image.memoryBytes} bytes of memory, ${image.cpus} processors`],
    ...image.sections.map(({ kind, offset, sizeBytes }, i): Row => [
      i === 0 ? "sections" : "",
      `${kind}, ${sizeBytes} bytes at ${offset}`,
    ]),
    ["command line", image.commandLine],
    ["metadata", image.metadata === undefined ? "none" : JSON.stringify(image.metadata)],
    ...(signer === undefined
      ? [["signer", "none"] as const]
      : ([
          ["signer", signer.subject],
          ["", `${signer.algorithm}, valid from ${signer.notBefore} to ${signer.notAfter}`],
          ["", `certificate SHA-256 ${signer.sha256}`],
        ] as const)),
    ["", ""],
    ...measurementRows(image.measurements),
  ];
}

function signerOf({ signature }: EnclaveImage) {
  if (signature === undefined) return undefined;
  const { subject, validFrom, validTo, fingerprint256 } = new X509Certificate(
    signature.certificate,
  );
  return {
    subject: subject.replaceAll("\n", ", "),
    algorithm: signature.algorithm,
    notBefore: validFrom,
    notAfter: validTo,
    sha256: fingerprint256.replaceAll(":", "").toLowerCase(),
  };
}
