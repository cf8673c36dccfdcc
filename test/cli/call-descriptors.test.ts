/** Calls of an enclave that has no reflection, with descriptors from files, and what they carry. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { anyPack, AnySchema, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { Metadata, status as Code } from "@grpc/grpc-js";
import {
  file_notary_v1_notary as notaryFile,
  NotaryService,
  ReceiptSchema,
} from "#gen/notary/v1/notary_pb.js";
import { Simulator } from "../../attestation/nsm/simulator.ts";
import { EnclaveServer } from "../../services/enclave/index.ts";
import { SILENT } from "../support/enclave.ts";
import { type Finished, runProgram } from "../support/processes.ts";

const PROTO = ["--proto", "notary/v1/notary.proto", "--import-path", "examples/notary/proto"];

describe("sealrpc call without reflection", { timeout: 60_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), "call-"));
  const target = `unix:${join(folder, "enclave.sock")}`;
  const policy = join(folder, "policy.json");
  let server: EnclaveServer;
  let received: Metadata;
  before(async () => {
    const simulator = await Simulator.create();
    writeFileSync(policy, JSON.stringify(simulator.policyOptions()));
    server = new EnclaveServer({ attester: simulator, logger: SILENT });
    server.addService(NotaryService, {
      getPublicKey(call, callback) {
        received = call.metadata;
        const initial = new Metadata();
        initial.set("colour-bin", Buffer.from([0, 255]));
        call.sendMetadata(initial);
        const trailers = new Metadata();
        trailers.set("weight", "7");
        callback(null, { pem: "x".repeat(5_000) }, trailers);
      },
      listReceipts(call) {
        call.end();
      },
      signDigest(_call, callback) {
        const metadata = new Metadata();
        metadata.set("grpc-status-details-bin", statusDetails());
        callback({ code: Code.FAILED_PRECONDITION, details: "no \u001b[31mred", metadata });
      },
    });
    await server.listen(target);
  });
  after(async () => {
    await server.close();
    rmSync(folder, { recursive: true });
  });

  const call = async (method: string, ...flags: string[]): Promise<Finished> => {
    const name = `notary.v1.NotaryService/${method}`;
    return runProgram("cli/main.js", "call", target, name, "--policy", policy, ...flags);
  };

  it("says which flags are missing", async () => {
    const { status, stderr } = await call("GetPublicKey");
    assert.equal(status, 64 + 12);
    assert.match(stderr, /offers no reflection: give --proto or --descriptor-set/);
  });

  it("takes .proto files, and carries headers and trailers both ways", async () => {
    const headers = ["-H", "a: 1", "-H", "a: 2", "-H", "key-bin: AP8=", "-H", "empty:"];
    const { status, stdout, stderr } = await call("GetPublicKey", ...PROTO, ...headers, "-v");
    assert.equal(status, 0, stderr);
    assert.match(stdout, /"pem": "x{5000}"/);
    assert.deepEqual(received.get("a"), ["1", "2"]);
    assert.deepEqual(received.get("key-bin"), [Buffer.from([0, 255])]);
    assert.deepEqual(received.get("empty"), [""]);
    assert.match(String(received.get("user-agent")), /^sealrpc-call\/\d/);
    assert.match(stderr, /metadata:\n {2}colour-bin +AP8=\ntrailers:\n {2}weight +7\n/);
  });

  it("takes a descriptor set", async () => {
    const file = join(folder, "set.binpb");
    const set = create(FileDescriptorSetSchema, { file: [notaryFile.proto] });
    writeFileSync(file, toBinary(FileDescriptorSetSchema, set));
    const { status, stdout, stderr } = await call("GetPublicKey", "--descriptor-set", file);
    assert.equal(status, 0, stderr);
    assert.match(stdout, /"pem"/);
  });

  it("accepts no longer answer than it was told", async () => {
    const { status, stdout, stderr } = await call(
      "GetPublicKey",
      ...PROTO,
      "--max-message",
      "4999",
    );
    assert.deepEqual([status, stdout], [64 + 8, ""], stderr);
    assert.match(stderr, /RESOURCE_EXHAUSTED/);
  });

  it("takes a lack of the one answer that is due for a failure", async () => {
    const proto = join(folder, "unary.proto");
    const method = "rpc ListReceipts(Nothing) returns (Nothing);";
    const service = `service NotaryService { ${method} } message Nothing {}`;
    writeFileSync(proto, `syntax = "proto3"; package notary.v1; ${service}`);
    const { status, stderr } = await call("ListReceipts", "--proto", proto);
    assert.equal(status, 64 + 13, stderr);
    assert.match(stderr, /INTERNAL: 0 messages came where one is due/);
  });

  it("shows the details of a status, known ones as messages", async () => {
    const { status, stderr } = await call("SignDigest", ...PROTO, "--json");
    assert.equal(status, 64 + 9);
    const { details } = JSON.parse(stderr.replace(/^sealrpc:.*\n/, "")) as { details: unknown };
    assert.deepEqual(details, [
      { "@type": "type.googleapis.com/notary.v1.Receipt", name: "lost" },
      { "@type": "type.googleapis.com/absent.Type", value: "AQI=" },
    ]);
  });

  it("lets no status steer the terminal", async () => {
    const { stderr } = await call("SignDigest", ...PROTO);
    assert.match(stderr, /FAILED_PRECONDITION: no \\u\{1b\}\[31mred\n/);
    assert.match(stderr, /"name": "lost"/);
  });
});

/** A serialized google.rpc.Status with two details. */
function statusDetails(): Buffer {
  const known = anyPack(ReceiptSchema, create(ReceiptSchema, { name: "lost" }));
  const typeUrl = "type.googleapis.com/absent.Type";
  const unknown = create(AnySchema, { typeUrl, value: new Uint8Array([1, 2]) });
  const status = new BinaryWriter().tag(1, WireType.Varint).int32(9);
  for (const detail of [known, unknown]) {
    status.tag(3, WireType.LengthDelimited).bytes(toBinary(AnySchema, detail));
  }
  return Buffer.from(status.finish());
}
