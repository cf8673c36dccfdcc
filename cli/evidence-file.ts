/** Evidence as commands read it: a file, or standard input for `-`. */
import { createReadStream } from "node:fs";
import { maxEvidenceBytes } from "../attestation/cose.ts";

/**
 * The bytes of the file. Of one that is longer than evidence can be, only enough to be refused, so
 * that a device or an endless pipe does no harm.
 */
export async function readEvidence(file: string): Promise<Uint8Array> {
  const stream = file === "-" ? process.stdin : createReadStream(file);
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of stream as AsyncIterable<Uint8Array>) {
    chunks.push(chunk);
    length += chunk.length;
    if (length > maxEvidenceBytes) break;
  }
  return new Uint8Array(Buffer.concat(chunks));
}
