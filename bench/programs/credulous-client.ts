/**
 * A client that believes every document: it does its part of a handshake and verifies nothing. One
 * process of them can show what an enclave can take; with real ones it shows what the clients can.
 */
import { Client, credentials } from "@grpc/grpc-js";
import { parseEnvelope } from "../../attestation/cose.ts";
import { parseDocument } from "../../attestation/document.ts";
import type { VerifiedEvidence } from "../../attestation/verified-evidence.ts";
import { ClientHandshake } from "../../channel/client-handshake.ts";
import { SUITE_IDS } from "../../channel/suite.ts";
import { nodeBackend as backend } from "../../crypto/node.ts";

const CONNECT = "/sealrpc.v1.AttestedChannelService/Connect";
const INITIAL_CREDIT = 262_144;

/** Makes one handshake on a connection of its own. */
export async function connectCredulously(address: string): Promise<{ close(): void }> {
  const client = new Client(address, credentials.createInsecure(), {
    "grpc.use_local_subchannel_pool": 1,
  });
  const stream = client.makeBidiStreamRequest(
    CONNECT,
    (message: Uint8Array) => Buffer.from(message.buffer, message.byteOffset, message.byteLength),
    (message: Buffer): Uint8Array => message,
  );
  const connection = {
    close: () => {
      stream.cancel();
      client.close();
    },
  };
  const handshake = new ClientHandshake({
    backend,
    suites: SUITE_IDS,
    verify: believe,
    initialCredit: INITIAL_CREDIT,
  });
  try {
    await new Promise<void>((resolve, reject) => {
      stream.on("error", reject);
      stream.once("data", (reply: Uint8Array) => {
        stream.once("data", (confirmation: Uint8Array) => {
          handshake.receiveFinish(confirmation);
          resolve();
        });
        handshake.receiveHello(reply).then((finish) => stream.write(finish), reject);
      });
      stream.write(handshake.hello());
    });
  } catch (error) {
    connection.close();
    throw error;
  }
  stream.on("error", () => {});
  return connection;
}

function believe(evidence: Uint8Array): VerifiedEvidence {
  const document = parseDocument(parseEnvelope(evidence).payload);
  const { nonce: challenge, user_data: userData, public_key: publicKey } = document;
  return { challenge, userData, publicKey } as unknown as VerifiedEvidence;
}
