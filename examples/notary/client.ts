#!/usr/bin/env node
/**
 * A client of the notary: it has one file notarized, with calls of all four kinds.
 *
 *     node client.js --target HOST:PORT --policy policy.json [--out FOLDER] FILE
 *
 * Without `--policy` it calls a plain gRPC server, with neither attestation nor seal: the demo
 * compares. The difference is the two lines that make and pass the channel.
 */
import { createHash, verify } from "node:crypto";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { parseArgs } from "node:util";
import * as grpc from "@grpc/grpc-js";
import { AttestedChannel, parsePolicyFile, type SealedAuthContext } from "sealrpc";
import type {
  GetPublicKeyResponse,
  SignDigestResponse,
  UploadDocumentResponse,
} from "#gen/notary/v1/notary_pb.js";
import { Story } from "./story.ts";
import { NotaryClient } from "./stub.ts";

const CASE_NUMBER = "2026/11/24-0042, the matter of the sealed letter";
const PART_BYTES = 4096;
/** How many of the document's parts are signed one by one. */
const MANY = 4;

const { values, positionals } = parseArgs({
  options: { target: { type: "string" }, policy: { type: "string" }, out: { type: "string" } },
  allowPositionals: true,
});
const { target, policy, out } = values;
const [file] = positionals;
if (target === undefined || file === undefined) {
  throw new TypeError("usage: client.js --target HOST:PORT [--policy FILE] [--out FOLDER] FILE");
}

const credentials = grpc.credentials.createInsecure();
let notary: NotaryClient;
if (policy === undefined) {
  notary = new NotaryClient(target, credentials);
} else {
  const channel = new AttestedChannel(target, {
    policy: parsePolicyFile(readFileSync(policy, "utf8")),
  });
  notary = new NotaryClient(target, credentials, { channelOverride: channel });
}

const document = readFileSync(file);
const parts = split(document);
const story = new Story();
const publicKey = await key();
await upload();
await list();
await many();
await one();
notary.close();
story.end();

/** Unary. */
async function key(): Promise<string> {
  const { call, response } = await answer<GetPublicKeyResponse>((callback) =>
    notary.getPublicKey({}, callback),
  );
  const { evidence } = call.getAuthContext() as Partial<SealedAuthContext>;
  if (evidence) {
    const { moduleId, pcrs } = evidence.claims;
    story.fact("module", moduleId);
    story.fact("PCR0", pcrs[0] ?? "");
  }
  story.received("public key", "public key", bodyOf(response.pem));
  await story.chapter("GetPublicKey", "unary");
  return response.pem;
}

/** Client streaming: the document in parts, one receipt for all. */
async function upload(): Promise<void> {
  const metadata = new grpc.Metadata();
  metadata.set("case-number", CASE_NUMBER);
  const name = basename(String(file));
  const { response } = await answer<UploadDocumentResponse>((callback) => {
    const call = notary.uploadDocument(metadata, callback);
    void send(call, name);
    return call;
  });
  const { receipt } = response;
  if (!receipt) throw new Error("an answer without a receipt");
  check(receipt.sha256, receipt.signature);
  story.sent("metadata", "case-number", CASE_NUMBER);
  story.sent("document", `${name}, ${document.length} bytes:`, document);
  story.received("digest", `receipt ${receipt.number}, sha256`, receipt.sha256);
  story.received("signature", "signature", receipt.signature);
  if (out !== undefined) {
    writeFileSync(join(out, "notary.pem"), publicKey);
    writeFileSync(join(out, "receipt.sig"), receipt.signature);
  }
  await story.chapter("UploadDocument", "client streaming");
}

/** Writes as fast as the notary reads. */
async function send(call: ReturnType<NotaryClient["uploadDocument"]>, name: string): Promise<void> {
  for (const data of parts) if (!call.write({ name, data })) await once(call, "drain");
  call.end();
}

/** Server streaming: every receipt that the notary has given. */
async function list(): Promise<void> {
  for await (const { receipt } of notary.listReceipts({})) {
    if (!receipt) throw new Error("an answer without a receipt");
    const { number, name, size, signature } = receipt;
    story.received("signature", `receipt ${number}: ${name}, ${size} bytes,`, signature);
  }
  await story.chapter("ListReceipts", "server streaming");
}

/** Bidirectional: digests as they come, one signature for each, in order. */
async function many(): Promise<void> {
  const digests = parts.slice(0, MANY).map((part) => digestOf(part));
  const call = notary.signMany();
  for (const sha256 of digests) call.write({ sha256 });
  call.end();
  let count = 0;
  for await (const { signature } of call) {
    check(digests[count] ?? new Uint8Array(), signature);
    count++;
    story.received("signature", `signature ${count}`, signature);
  }
  await story.chapter("SignMany", "bidirectional");
}

/** Unary. */
async function one(): Promise<void> {
  const sha256 = digestOf(document);
  const { response } = await answer<SignDigestResponse>((callback) =>
    notary.signDigest({ sha256 }, callback),
  );
  check(sha256, response.signature);
  story.sent("digest", "sha256", sha256);
  story.received("signature", "signature", response.signature);
  await story.chapter("SignDigest", "unary");
}

/** Makes a promise of grpc-js's callback, and keeps the call object. */
async function answer<R>(
  start: (callback: grpc.requestCallback<R>) => Pick<grpc.ClientUnaryCall, "getAuthContext">,
): Promise<{ call: Pick<grpc.ClientUnaryCall, "getAuthContext">; response: R }> {
  return new Promise((resolve, reject) => {
    const call = start((error, response) => {
      if (error || response === undefined) reject(error ?? new Error("no answer"));
      else resolve({ call, response });
    });
  });
}

function check(sha256: Uint8Array, signature: Uint8Array): void {
  if (!verify("sha256", sha256, publicKey, signature)) {
    throw new Error("the notary gave a signature that its key does not verify");
  }
}

/** A PEM without its frame and line ends. */
function bodyOf(pem: string): string {
  return pem.replaceAll(/-----[A-Z ]+-----|\n/g, "");
}

function digestOf(bytes: Uint8Array): Uint8Array {
  return createHash("sha256").update(bytes).digest();
}

/** At least one part, so that an empty document has a name too. */
function split(bytes: Uint8Array): Uint8Array[] {
  const parts = [bytes.subarray(0, PART_BYTES)];
  for (let at = PART_BYTES; at < bytes.length; at += PART_BYTES) {
    parts.push(bytes.subarray(at, at + PART_BYTES));
  }
  return parts;
}
