/** What the test service says of its load, because a request told it to: in trailers, or streamed. */
import { setTimeout as delay } from "node:timers/promises";
import { create, toBinary } from "@bufbuild/protobuf";
import type { TestOrcaReport } from "#gen/grpc/testing/messages_pb.js";
import {
  type OrcaLoadReport,
  OrcaLoadReportSchema,
} from "#gen/xds/data/orca/v3/orca_load_report_pb.js";
import type { OpenRcaService } from "#gen/xds/service/orca/v3/orca_pb.js";
import type { Handlers } from "../../services/enclave/index.ts";

/** The trailer that carries the load report of one call. */
export const LOAD_KEY = "endpoint-load-metrics-bin";
const DEFAULT_INTERVAL_MS = 1000;

/** The load of one server. */
export class LoadReports {
  #current = create(OrcaLoadReportSchema);

  /** Gives the handlers of the service that streams reports. */
  get handlers(): Handlers<typeof OpenRcaService> {
    return {
      streamCoreMetrics: async (call) => {
        const { seconds = 0n, nanos = 0 } = call.request.reportInterval ?? {};
        const intervalMs = Number(seconds) * 1000 + nanos / 1e6 || DEFAULT_INTERVAL_MS;
        while (!call.cancelled) {
          call.write(this.#current);
          await delay(intervalMs);
        }
      },
    };
  }

  /** Reports `report` from now on. */
  change(report: TestOrcaReport): void {
    this.#current = reportOf(report);
  }
}

/** The report as the trailer of a call. */
export function loadTrailer(report: TestOrcaReport): Buffer {
  return Buffer.from(toBinary(OrcaLoadReportSchema, reportOf(report)));
}

function reportOf(report: TestOrcaReport): OrcaLoadReport {
  const { cpuUtilization, memoryUtilization, requestCost, utilization } = report;
  return create(OrcaLoadReportSchema, {
    cpuUtilization,
    memUtilization: memoryUtilization,
    requestCost,
    utilization,
  });
}
