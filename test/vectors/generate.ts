/**
 * Writes the vector files from fixed seeds: `node dist/test/vectors/generate.js`. A test fails when
 * what this gives and what is committed differ.
 */
import { writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { clientHandshakeVectors } from "./client-handshake-vectors.ts";
import { enclaveHandshakeVectors } from "./enclave-handshake-vectors.ts";
import { hpkeVectors } from "./hpke-vectors.ts";
import { keyScheduleVectors } from "./key-schedule-vectors.ts";
import { merkleVectors } from "./merkle-vectors.ts";
import { outerMessageVectors } from "./outer-message-vectors.ts";
import { paddingVectors, recordVectors } from "./record-vectors.ts";
import { formatVectors, type VectorFile } from "./vector-file.ts";

/** Where the files lie. */
export const vectorFolder: string = join(
  dirname(fileURLToPath(import.meta.url)),
  ..."../../../test/vectors".split("/"),
);

/** Every generated file by its name. */
export const vectorFiles: Readonly<Record<string, () => VectorFile | Promise<VectorFile>>> = {
  "handshake-client.json": clientHandshakeVectors,
  "handshake-enclave.json": enclaveHandshakeVectors,
  "hpke.json": hpkeVectors,
  "key-schedule.json": keyScheduleVectors,
  "merkle.json": merkleVectors,
  "outer-messages.json": outerMessageVectors,
  "padding.json": paddingVectors,
  "records.json": recordVectors,
};

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const [name, make] of Object.entries(vectorFiles)) {
    writeFileSync(join(vectorFolder, name), formatVectors(await make()));
  }
}
