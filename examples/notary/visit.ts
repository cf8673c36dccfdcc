/** One client's calls of the notary, of all four kinds, through a stub that knows no sealing. */
import { createHash, verify } from "node:crypto";
import { once } from "node:events";
import * as grpc from "@grpc/grpc-js";
import type { Policy, SealedAuthContext } from "sealrpc";
import type {
  GetPublicKeyResponse,
  SignDigestResponse,
  UploadDocumentResponse,
} from "#gen/notary/v1/notary_pb.js";
import type { Story } from "./story.ts";
import type { NotaryClient } from "./stub.ts";

const CASE_NUMBER = "2026/11/24-0042, the matter of the sealed letter";
const PART_BYTES = 4096;
/** How many of the document's parts are signed one by one. */
const MANY = 4;

export interface Document {
  readonly name: string;
  readonly bytes: Uint8Array;
}

export class Visit {
  readonly #notary: NotaryClient;
  readonly #story: Story;
  readonly #document: Document;
  readonly #policy: Policy | undefined;
  readonly #parts: readonly Uint8Array[];
  #publicKey = "";

  /** The policy is asked which release the enclave is. */
  constructor(notary: NotaryClient, story: Story, document: Document, policy?: Policy) {
    this.#policy = policy;
    this.#notary = notary;
    this.#story = story;
    this.#document = document;
    this.#parts = split(document.bytes);
  }

  /** Unary; the call also tells which enclave answered. */
  async getPublicKey(): Promise<string> {
    const { call, response } = await answer<GetPublicKeyResponse>((callback) =>
      this.#notary.getPublicKey({}, callback),
    );
    const { evidence } = call.getAuthContext() as Partial<SealedAuthContext>;
    if (evidence) {
      const { moduleId, pcrs } = evidence.claims;
      const release = this.#policy?.releaseOf(evidence.claims);
      if (release) this.#story.fact("release", `${release.version}, ${release.status}`);
      this.#story.fact("module", moduleId);
      this.#story.fact("PCR0", pcrs[0] ?? "");
    }
    this.#publicKey = response.pem;
    this.#story.received("public key", "public key", bodyOf(response.pem));
    await this.#story.chapter("GetPublicKey", "unary");
    return response.pem;
  }

  /** Client streaming: the document in parts, one receipt for all. Gives the signature. */
  async uploadDocument(): Promise<Uint8Array> {
    const { name, bytes } = this.#document;
    const metadata = new grpc.Metadata();
    metadata.set("case-number", CASE_NUMBER);
    const { response } = await answer<UploadDocumentResponse>((callback) => {
      const call = this.#notary.uploadDocument(metadata, callback);
      void this.#send(call);
      return call;
    });
    const { receipt } = response;
    if (!receipt) throw new Error("an answer without a receipt");
    this.#check(digestOf(bytes), receipt.signature);
    this.#story.sent("metadata", "case-number", CASE_NUMBER);
    this.#story.sent("document", `${name}, ${bytes.length} bytes:`, bytes);
    this.#story.received("digest", `receipt ${receipt.number}, sha256`, receipt.sha256);
    this.#story.received("signature", "signature", receipt.signature);
    await this.#story.chapter("UploadDocument", "client streaming");
    return receipt.signature;
  }

  /** Writes as fast as the notary reads. */
  async #send(call: ReturnType<NotaryClient["uploadDocument"]>): Promise<void> {
    const { name } = this.#document;
    for (const data of this.#parts) if (!call.write({ name, data })) await once(call, "drain");
    call.end();
  }

  /** Server streaming: every receipt that the notary has given. */
  async listReceipts(): Promise<void> {
    for await (const { receipt } of this.#notary.listReceipts({})) {
      if (!receipt) throw new Error("an answer without a receipt");
      const { number, name, size, signature } = receipt;
      this.#story.received("signature", `receipt ${number}: ${name}, ${size} bytes,`, signature);
    }
    await this.#story.chapter("ListReceipts", "server streaming");
  }

  /** Bidirectional: digests as they come, one signature for each, in order. */
  async signMany(): Promise<void> {
    const digests = this.#parts.slice(0, MANY).map((part) => digestOf(part));
    const call = this.#notary.signMany();
    for (const sha256 of digests) call.write({ sha256 });
    call.end();
    let count = 0;
    for await (const { signature } of call) {
      this.#check(digests[count] ?? new Uint8Array(), signature);
      count++;
      this.#story.received("signature", `signature ${count}`, signature);
    }
    await this.#story.chapter("SignMany", "bidirectional");
  }

  /** Unary. */
  async signDigest(): Promise<void> {
    const sha256 = digestOf(this.#document.bytes);
    const { response } = await answer<SignDigestResponse>((callback) =>
      this.#notary.signDigest({ sha256 }, callback),
    );
    this.#check(sha256, response.signature);
    this.#story.sent("digest", "sha256", sha256);
    this.#story.received("signature", "signature", response.signature);
    await this.#story.chapter("SignDigest", "unary");
  }

  #check(sha256: Uint8Array, signature: Uint8Array): void {
    if (!verify("sha256", sha256, this.#publicKey, signature)) {
      throw new Error("the notary gave a signature that its key does not verify");
    }
  }
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
