#!/usr/bin/env node
/**
 * A client of the notary: it has one file notarized, with calls of all four kinds.
 *
 *     node client.js --target HOST:PORT --policy policy.json [--out FOLDER] FILE
 *
 * Without `--policy` it calls a plain gRPC server, with neither attestation nor seal: the demo
 * compares. The difference is the channel.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { parseArgs } from "node:util";
import * as grpc from "@grpc/grpc-js";
import { AttestedChannel, type Policy, readPolicyFile } from "sealrpc";
import { Story } from "./story.ts";
import { NotaryClient } from "./stub.ts";
import { Visit } from "./visit.ts";

const USAGE = "usage: client.js --target HOST:PORT [--policy FILE] [--out FOLDER] FILE";

try {
  await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  process.exit(1);
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    options: { target: { type: "string" }, policy: { type: "string" }, out: { type: "string" } },
    allowPositionals: true,
  });
  const { target, out } = values;
  const [file] = positionals;
  if (target === undefined || file === undefined) throw new TypeError(USAGE);

  const policy = values.policy === undefined ? undefined : await readPolicyFile(values.policy);
  const notary = connect(target, policy);
  const story = new Story();
  const document = { name: basename(file), bytes: readFileSync(file) };
  const visit = new Visit(notary, story, document, policy);
  const publicKey = await visit.getPublicKey();
  const signature = await visit.uploadDocument();
  await visit.listReceipts();
  await visit.signMany();
  await visit.signDigest();
  notary.close();
  if (out !== undefined) {
    writeFileSync(join(out, "notary.pem"), publicKey);
    writeFileSync(join(out, "receipt.sig"), signature);
  }
  story.end();
}

function connect(target: string, policy: Policy | undefined): NotaryClient {
  const credentials = grpc.credentials.createInsecure();
  if (policy === undefined) return new NotaryClient(target, credentials);
  const channel = new AttestedChannel(target, { policy });
  return new NotaryClient(target, credentials, { channelOverride: channel });
}
