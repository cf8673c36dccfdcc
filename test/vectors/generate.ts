/**
 * Writes the vector files from fixed seeds: `node dist/test/vectors/generate.js`. A test fails when
 * what this gives and what is committed differ.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { repositoryRoot } from "../support/repository.ts";
import { callEnds } from "./call-ends.ts";
import { callRecords } from "./call-records.ts";
import { frameRules } from "./frame-rules.ts";
import { clientHandshakeVectors } from "./handshake-client.ts";
import { enclaveHandshakeVectors } from "./handshake-enclave.ts";
import { hpkeVectors } from "./hpke.ts";
import { keyScheduleVectors } from "./key-schedule.ts";
import { merkleVectors } from "./merkle.ts";
import { outerMessageVectors } from "./outer-messages.ts";
import { paddingVectors } from "./padding.ts";
import { recordVectors } from "./records.ts";
import { formatVectors } from "./vector-file.ts";

/** Where the files lie. */
export const vectorFolder: string = join(repositoryRoot, "test", "vectors");

/** Every generated file by its name. */
export const vectorFiles: Readonly<Record<string, () => object | Promise<object>>> = {
  "call-ends.json": callEnds,
  "call-records.json": callRecords,
  "frame-rules.json": frameRules,
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
