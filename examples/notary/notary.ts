/**
 * The notary. Its key is made when it starts, inside the enclave, and there is no call that gives
 * it away; what clients get is the public key and signatures.
 *
 * These are ordinary grpc-js handlers: nothing here knows of attestation or sealing.
 */
import { createHash, generateKeyPairSync, sign } from "node:crypto";
import { once } from "node:events";
import { create } from "@bufbuild/protobuf";
import * as grpc from "@grpc/grpc-js";
import type { Handlers } from "sealrpc/enclave";
import {
  type NotaryService,
  type Receipt,
  ReceiptSchema,
  type SignManyRequest,
} from "#gen/notary/v1/notary_pb.js";

const MAX_RECEIPTS = 10_000;
const MAX_NAME_LENGTH = 255;
const DIGEST_BYTES = 32;

/** Makes a key, and the handlers that sign with it. */
export function createNotary(): Handlers<typeof NotaryService> {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const pem = String(publicKey.export({ type: "spki", format: "pem" }));
  const receipts: Receipt[] = [];

  const signDigest = (sha256: Uint8Array): Uint8Array => {
    if (sha256.length !== DIGEST_BYTES) {
      throw refusal(grpc.status.INVALID_ARGUMENT, "sha256: expected 32 bytes");
    }
    return sign("sha256", sha256, privateKey);
  };

  return {
    getPublicKey(_call, callback) {
      callback(null, { pem });
    },

    signDigest(call, callback) {
      try {
        callback(null, { signature: signDigest(call.request.sha256) });
      } catch (error) {
        callback(error as grpc.ServiceError);
      }
    },

    async uploadDocument(call, callback) {
      const hash = createHash("sha256");
      let name = "";
      let size = 0;
      // The loop throws when the upload is cut, so that half a document gets no receipt.
      for await (const part of call) {
        if (size === 0) name ||= part.name;
        hash.update(part.data);
        size += part.data.length;
      }
      if (name.length === 0 || name.length > MAX_NAME_LENGTH) {
        callback(refusal(grpc.status.INVALID_ARGUMENT, "name: expected 1 to 255 characters"));
        return;
      }
      if (receipts.length === MAX_RECEIPTS) {
        callback(refusal(grpc.status.RESOURCE_EXHAUSTED, "the notary's book is full"));
        return;
      }
      const sha256 = hash.digest();
      const receipt = create(ReceiptSchema, {
        number: BigInt(receipts.length + 1),
        name,
        size: BigInt(size),
        sha256,
        signature: signDigest(sha256),
      });
      receipts.push(receipt);
      callback(null, { receipt });
    },

    async listReceipts(call) {
      for (const receipt of receipts) {
        if (call.cancelled) return;
        if (!call.write({ receipt })) await once(call, "drain");
      }
      call.end();
    },

    signMany(call) {
      call.on("data", ({ sha256 }: SignManyRequest) => {
        try {
          if (call.write({ signature: signDigest(sha256) })) return;
          call.pause();
          call.once("drain", () => call.resume());
        } catch (error) {
          call.emit("error", error);
        }
      });
      call.on("end", () => call.end());
    },
  };
}

function refusal(code: grpc.status, details: string): grpc.ServiceError {
  return Object.assign(new Error(details), { code, details, metadata: new grpc.Metadata() });
}
