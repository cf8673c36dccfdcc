/** Calls one method: JSON documents in, JSON documents out. */
import { once } from "node:events";
import type { DescMethod } from "@bufbuild/protobuf";
import { type Metadata, status as Code, type StatusObject } from "@grpc/grpc-js";
import { comparedRegisters } from "../appraisal-notes.ts";
import { evidenceRows } from "../evidence-report.ts";
import { formatTable } from "../facts.ts";
import { Misuse } from "../misuse.ts";
import type { Connection } from "./connection.ts";
import type { JsonMessages } from "./json-message.ts";
import { runRawCall } from "./raw-call.ts";
import { reportMetadata } from "./report.ts";
import { requestDocuments } from "./request-documents.ts";

export interface Invocation {
  readonly connection: Connection;
  readonly method: DescMethod;
  readonly messages: JsonMessages;
  readonly data: string | undefined;
  readonly metadata: Metadata;
  readonly verbose: boolean;
}

/**
 * Prints the answers on standard output, and resolves with the status of the call.
 *
 * @throws Misuse for requests that are no such messages, or not as many as the method takes.
 */
export async function invoke(invocation: Invocation): Promise<StatusObject> {
  const { connection, method, messages, metadata, verbose } = invocation;
  const { stated } = connection;
  let answers = 0;
  const status = await runRawCall(connection.channel, {
    path: `/${method.parent.typeName}/${method.name}`,
    metadata,
    deadlineMs: connection.deadlineMs,
    maxMessageBytes: connection.maxMessageBytes,
    requests: await requestsOf(invocation),
    onEvidence: (evidence) => {
      connection.note(evidence);
      if (!verbose) return;
      const rows = evidenceRows(evidence, comparedRegisters(stated.policy, evidence));
      process.stderr.write(`enclave:\n${formatTable(rows.map(([k, v]) => [`  ${k}`, v]))}`);
    },
    onMetadata: (received) => {
      if (verbose) reportMetadata("metadata", received);
    },
    onMessage: async (message) => {
      answers++;
      await print(await messages.format(method.output, message));
    },
  });
  if (verbose) reportMetadata("trailers", status.metadata);
  if (status.code === Code.OK && !givesStream(method) && answers !== 1) {
    const details = `${answers} messages came where one is due`;
    return { ...status, code: Code.INTERNAL, details };
  }
  if (verbose && status.code === Code.OK) console.error("status: OK");
  return status;
}

/** All are read and checked before the call begins, unless they come as they are typed. */
async function requestsOf(invocation: Invocation): Promise<AsyncIterable<Uint8Array>> {
  const { method, messages, data } = invocation;
  const documents = requestDocuments(data);
  const encoded = encodeAll(invocation, documents);
  if (takesStream(method) && data === "-") return encoded;
  const requests: Uint8Array[] = [];
  for await (const request of encoded) requests.push(request);
  if (!takesStream(method)) {
    if (requests.length === 0) requests.push(await messages.encode(method.input, "{}"));
    if (requests.length > 1) {
      throw new Misuse(`--data: ${method.name} takes one message, not ${requests.length}`);
    }
  }
  return encodedAlready(requests);
}

async function* encodeAll(
  { method, messages }: Invocation,
  documents: AsyncIterable<string>,
): AsyncGenerator<Uint8Array> {
  for await (const document of documents) yield messages.encode(method.input, document);
}

async function* encodedAlready(requests: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* requests;
}

function takesStream({ methodKind }: DescMethod): boolean {
  return methodKind === "client_streaming" || methodKind === "bidi_streaming";
}

function givesStream({ methodKind }: DescMethod): boolean {
  return methodKind === "server_streaming" || methodKind === "bidi_streaming";
}

async function print(text: string): Promise<void> {
  if (!process.stdout.write(text)) await once(process.stdout, "drain");
}
