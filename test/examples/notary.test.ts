import assert from "node:assert/strict";
import { createHash, randomBytes, verify } from "node:crypto";
import { after, before, describe, it } from "node:test";
import * as grpc from "@grpc/grpc-js";
import { NotaryService } from "#gen/notary/v1/notary_pb.js";
import { Simulator } from "../../attestation/nsm/simulator.ts";
import { createNotary } from "../../examples/notary/notary.ts";
import {
  AttestedChannel,
  type CallError,
  type Client,
  createClient,
} from "../../services/client/index.ts";
import { EnclaveServer } from "../../services/enclave/index.ts";
import { SILENT } from "../support/enclave.ts";

describe("the notary", () => {
  let server: EnclaveServer;
  let channel: AttestedChannel;
  let notary: Client<typeof NotaryService>;
  let pem: string;
  before(async () => {
    const attester = await Simulator.create();
    server = new EnclaveServer({ attester, logger: SILENT });
    server.addService(NotaryService, createNotary());
    const address = await server.listen("127.0.0.1:0");
    channel = new AttestedChannel(address, { policy: attester.policyOptions() });
    notary = createClient(NotaryService, channel);
    ({ pem } = await notary.getPublicKey({}));
  });
  after(async () => {
    channel.close();
    await server.close();
  });

  const refusedWith = (code: grpc.status, details: RegExp) => (error: unknown) => {
    assert.equal((error as CallError).code, code);
    assert.match((error as CallError).details, details);
    return true;
  };

  it("gives a receipt that covers the whole document", async () => {
    const parts = [randomBytes(1000), randomBytes(0), randomBytes(70_000)];
    const { receipt } = await notary.uploadDocument(
      parts.map((data, index) => ({ data, name: index === 0 ? "will.pdf" : "ignored" })),
    );
    const sha256 = createHash("sha256").update(Buffer.concat(parts)).digest();
    assert.equal(receipt?.name, "will.pdf");
    assert.equal(receipt.size, 71_000n);
    assert.deepEqual(Buffer.from(receipt.sha256), sha256);
    assert.ok(verify("sha256", sha256, pem, receipt.signature));
  });

  it("lists receipts in the order in which it gave them", async () => {
    await notary.uploadDocument([{ name: "second", data: new Uint8Array(2) }]);
    const names: string[] = [];
    for await (const { receipt } of notary.listReceipts({})) names.push(String(receipt?.name));
    assert.deepEqual(names, ["will.pdf", "second"]);
  });

  it("takes an empty document with a name, and no document without one", async () => {
    const { receipt } = await notary.uploadDocument([{ name: "empty" }]);
    assert.equal(receipt?.size, 0n);
    await assert.rejects(
      notary.uploadDocument([{ data: new Uint8Array(2) }]),
      refusedWith(grpc.status.INVALID_ARGUMENT, /name/),
    );
    await assert.rejects(
      notary.uploadDocument([{ name: "n".repeat(256) }]),
      refusedWith(grpc.status.INVALID_ARGUMENT, /name/),
    );
  });

  it("gives no receipt for an upload that was cut", async () => {
    const count = async (): Promise<number> => {
      let receipts = 0;
      for await (const { receipt } of notary.listReceipts({})) receipts += receipt ? 1 : 0;
      return receipts;
    };
    const given = await count();
    const abort = new AbortController();
    async function* parts(): AsyncGenerator<{ name: string; data: Uint8Array }> {
      yield { name: "half", data: new Uint8Array(100) };
      abort.abort();
      await new Promise(() => {});
    }
    await assert.rejects(
      notary.uploadDocument(parts(), { signal: abort.signal }),
      refusedWith(grpc.status.CANCELLED, /./),
    );
    assert.equal(await count(), given);
  });

  it("signs digests in order, and refuses what is no digest", async () => {
    const digests = Array.from({ length: 20 }, () => randomBytes(32));
    let index = 0;
    for await (const { signature } of notary.signMany(digests.map((sha256) => ({ sha256 })))) {
      assert.ok(verify("sha256", digests[index++] ?? Buffer.alloc(0), pem, signature));
    }
    assert.equal(index, 20);
    const short = { sha256: new Uint8Array(31) };
    const refused = refusedWith(grpc.status.INVALID_ARGUMENT, /32 bytes/);
    await assert.rejects(notary.signDigest(short), refused);
    await assert.rejects(async () => {
      for await (const _ of notary.signMany([short]));
    }, refused);
  });
});
