/** A server for clients of `ehbp`, written from its protocol: opens a body, seals it back. */
import { randomBytes } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { runChild } from "./child.ts";
import { loadEhbp } from "./ehbp.ts";
import { listenOnLoopback } from "./loopback.ts";
import type { Reachable } from "./reachable.ts";

/** A chunk is its length in four bytes, and so many bytes sealed. */
const LENGTH_BYTES = 4;
const ascii = (text: string): Uint8Array => Buffer.from(text);

runChild(async ({ folder }: { folder: string }) => {
  const ehbp = loadEhbp();
  const identity = await ehbp.Identity.generate();
  const { ENCAPSULATED_KEY_HEADER, RESPONSE_NONCE_HEADER } = ehbp.PROTOCOL;

  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece as Buffer);
    const enc = Buffer.from(String(request.headers[ENCAPSULATED_KEY_HEADER.toLowerCase()]), "hex");
    const info = ascii(ehbp.HPKE_REQUEST_INFO);
    const recipient = await identity.suite.SetupRecipient(identity.getPrivateKey(), enc, { info });
    const body = await recipient.Open(Buffer.concat(pieces).subarray(LENGTH_BYTES));
    const nonce = randomBytes(ehbp.RESPONSE_NONCE_LENGTH);
    const exported = await recipient.Export(ascii(ehbp.EXPORT_LABEL), ehbp.EXPORT_LENGTH);
    const keys = await ehbp.deriveResponseKeys(exported, enc, nonce);
    const sealed = await ehbp.encryptChunk(keys, 0, body);
    const length = Buffer.alloc(LENGTH_BYTES);
    length.writeUInt32BE(sealed.length);
    response.setHeader(RESPONSE_NONCE_HEADER, nonce.toString("hex"));
    response.end(Buffer.concat([length, sealed]));
  };

  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => {
      response.statusCode = 500;
      response.end(String(error));
    });
  });
  const address = await listenOnLoopback(server);
  const hpkeKey = await identity.getPublicKeyHex();
  return { ready: { folder, address, hpkeKey } satisfies Reachable };
});
