/** The cases of gRPC's interoperability suite for grpc-js, which publishes no client of its own. */
import assert from "node:assert/strict";
import { create, fromBinary } from "@bufbuild/protobuf";
import { Metadata, status as Code } from "@grpc/grpc-js";
import type { Payload } from "#gen/grpc/testing/messages_pb.js";
import { TestService, UnimplementedService } from "#gen/grpc/testing/test_pb.js";
import {
  OrcaLoadReportSchema,
  type OrcaLoadReport,
} from "#gen/xds/data/orca/v3/orca_load_report_pb.js";
import { OpenRcaService } from "#gen/xds/service/orca/v3/orca_pb.js";
import { serviceDefinition } from "../../services/grpc/service-definition.ts";
import type { CaseName } from "./cases.ts";
import { LOAD_KEY } from "./load-reports.ts";
import type { Ended, Stub } from "./node-stub.ts";

const { emptyCall, unaryCall, streamingInputCall, streamingOutputCall, fullDuplexCall, ...rest } =
  serviceDefinition(TestService);
const unimplementedService = serviceDefinition(UnimplementedService);
const { streamCoreMetrics } = serviceDefinition(OpenRcaService);

const REQUEST_SIZES = [27_182, 8, 1828, 45_904];
const RESPONSE_SIZES = [31_415, 9, 2653, 58_979];
const RPC_SOAK_ITERATIONS = 10;
const CHANNEL_SOAK_ITERATIONS = 5;

/** Runs one case with a client, and with others that are made for it. */
type Case = (stub: Stub, connect: () => Stub) => Promise<void>;

/** What grpc-js can be asked; the others of the suite's cases do not apply to it. */
export const nodeCases: Partial<Record<CaseName, Case>> = {
  async empty_unary(stub) {
    const { responses } = ok(await stub.unary(emptyCall, {}));
    assert.equal(responses.length, 1);
  },

  large_unary: (stub) => largeUnary(stub),

  async client_streaming(stub) {
    const call = stub.upload(streamingInputCall);
    for (const size of REQUEST_SIZES) call.send({ payload: payload(size) });
    call.halfClose();
    const { responses } = ok(await call.ended);
    assert.deepEqual(
      responses.map((response) => response.aggregatedPayloadSize),
      [74_922],
    );
  },

  async server_streaming(stub) {
    const responseParameters = RESPONSE_SIZES.map((size) => ({ size }));
    const call = stub.expand(streamingOutputCall, { responseParameters });
    const { responses } = ok(await call.ended);
    assert.deepEqual(responses.map(sizeOf), RESPONSE_SIZES);
  },

  async ping_pong(stub) {
    const call = stub.chat(fullDuplexCall);
    for (const [index, size] of RESPONSE_SIZES.entries()) {
      call.send(outputRequest(size, REQUEST_SIZES[index]));
      assert.equal(sizeOf(await call.response(index)), size);
    }
    call.halfClose();
    assert.equal(ok(await call.ended).responses.length, RESPONSE_SIZES.length);
  },

  async empty_stream(stub) {
    const call = stub.chat(fullDuplexCall);
    call.halfClose();
    assert.deepEqual(ok(await call.ended).responses, []);
  },

  async timeout_on_sleeping_server(stub) {
    const call = stub.chat(fullDuplexCall, { timeoutMs: 1 });
    call.send({ payload: payload(27_182) });
    assert.equal((await call.ended).status.code, Code.DEADLINE_EXCEEDED);
  },

  async cancel_after_begin(stub) {
    const call = stub.upload(streamingInputCall);
    call.cancel();
    assert.equal((await call.ended).status.code, Code.CANCELLED);
  },

  async cancel_after_first_response(stub) {
    const call = stub.chat(fullDuplexCall);
    call.send(outputRequest(31_415));
    assert.equal(sizeOf(await call.response(0)), 31_415);
    call.cancel();
    assert.equal((await call.ended).status.code, Code.CANCELLED);
  },

  async status_code_and_message(stub) {
    const message = "test status message";
    await expectStatus(stub, message);
    const call = stub.chat(fullDuplexCall);
    call.send({ responseStatus: { code: Code.UNKNOWN, message } });
    call.halfClose();
    const { status } = await call.ended;
    assert.deepEqual([status.code, status.details], [Code.UNKNOWN, message]);
  },

  special_status_message: (stub) =>
    expectStatus(stub, "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n"),

  async custom_metadata(stub) {
    const initial = "test_initial_metadata_value";
    const trailing = Buffer.from("ababab", "hex");
    const metadata = new Metadata();
    metadata.set("x-grpc-test-echo-initial", initial);
    metadata.set("x-grpc-test-echo-trailing-bin", trailing);
    const call = stub.chat(fullDuplexCall, { metadata });
    call.send(outputRequest(314_159, 271_828));
    call.halfClose();
    for (const end of [
      await stub.unary(unaryCall, largeRequest(), { metadata }),
      await call.ended,
    ]) {
      assert.equal(end.status.code, Code.OK, end.status.details);
      assert.deepEqual(end.initial.get("x-grpc-test-echo-initial"), [initial]);
      assert.deepEqual(end.status.metadata.get("x-grpc-test-echo-trailing-bin"), [trailing]);
    }
  },

  async unimplemented_method(stub) {
    const { status } = await stub.unary(rest.unimplementedCall, {});
    assert.equal(status.code, Code.UNIMPLEMENTED);
  },

  async unimplemented_service(stub) {
    const { status } = await stub.unary(unimplementedService.unimplementedCall, {});
    assert.equal(status.code, Code.UNIMPLEMENTED);
  },

  async rpc_soak(stub) {
    for (let count = 0; count < RPC_SOAK_ITERATIONS; count++) await largeUnary(stub);
  },

  async channel_soak(_stub, connect) {
    for (let count = 0; count < CHANNEL_SOAK_ITERATIONS; count++) {
      const stub = connect();
      await largeUnary(stub);
      stub.close();
    }
  },

  async orca_per_rpc(stub) {
    const request = {
      orcaPerQueryReport: {
        cpuUtilization: 0.821,
        memoryUtilization: 0.5847,
        requestCost: { cost: 3456.32 },
        utilization: { util: 0.304_99 },
      },
    };
    const { status } = ok(await stub.unary(unaryCall, request));
    const [trailer] = status.metadata.get(LOAD_KEY);
    assert.ok(trailer instanceof Buffer);
    const expected = create(OrcaLoadReportSchema, {
      cpuUtilization: 0.821,
      memUtilization: 0.5847,
      requestCost: { cost: 3456.32 },
      utilization: { util: 0.304_99 },
    });
    assert.deepEqual(fromBinary(OrcaLoadReportSchema, trailer), expected);
  },

  async orca_oob(stub) {
    const call = stub.chat(fullDuplexCall);
    const watch = stub.expand(streamCoreMetrics, { reportInterval: { nanos: 100_000_000 } });
    let seen = 0;
    for (const [index, cpuUtilization] of [0.821, 0.293_09].entries()) {
      call.send({ ...outputRequest(1), orcaOobReport: { cpuUtilization, memoryUtilization: 0.2 } });
      await call.response(index);
      let report: OrcaLoadReport;
      // Rejects by the deadline when that report never comes.
      do report = await watch.response(seen++);
      while (report.cpuUtilization !== cpuUtilization || report.memUtilization !== 0.2);
    }
    watch.cancel();
    call.halfClose();
    ok(await call.ended);
  },

  async server_compressed_unary(stub) {
    for (const value of [true, false]) await largeUnary(stub, { responseCompressed: { value } });
  },

  async server_compressed_streaming(stub) {
    const call = stub.expand(streamingOutputCall, {
      responseParameters: [
        { size: 31_415, compressed: { value: true } },
        { size: 92_653, compressed: { value: false } },
      ],
    });
    assert.deepEqual(ok(await call.ended).responses.map(sizeOf), [31_415, 92_653]);
  },
};

async function largeUnary(
  stub: Stub,
  more: { responseCompressed?: { value: boolean } } = {},
): Promise<void> {
  const { responses } = ok(await stub.unary(unaryCall, { ...largeRequest(), ...more }));
  assert.deepEqual(responses.map(sizeOf), [314_159]);
}

async function expectStatus(stub: Stub, message: string): Promise<void> {
  const request = { responseStatus: { code: Code.UNKNOWN, message } };
  const { status } = await stub.unary(unaryCall, request);
  assert.deepEqual([status.code, status.details], [Code.UNKNOWN, message]);
}

function ok<Response>(end: Ended<Response>): Ended<Response> {
  assert.equal(end.status.code, Code.OK, end.status.details);
  return end;
}

function payload(size: number): { body: Uint8Array } {
  return { body: new Uint8Array(size) };
}

function largeRequest(): { responseSize: number; payload: { body: Uint8Array } } {
  return { responseSize: 314_159, payload: payload(271_828) };
}

function outputRequest(
  size: number,
  requestSize: number = 27_182,
): { responseParameters: { size: number }[]; payload: { body: Uint8Array } } {
  return { responseParameters: [{ size }], payload: payload(requestSize) };
}

function sizeOf({ payload: received }: { readonly payload?: Payload | undefined }): number {
  return received?.body.length ?? 0;
}
