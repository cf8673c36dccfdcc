/** The per-request metrics of grpc-js's calls, which this library does not report anywhere. */
import type { ServerInterceptingCallInterface } from "@grpc/grpc-js";

type Recorder = ReturnType<ServerInterceptingCallInterface["getMetricsRecorder"]>;

const ignore = (): void => {};

/** Takes any metric and forgets it. */
export const NO_METRICS: Recorder = {
  recordRequestCostMetric: ignore,
  recordUtilizationMetric: ignore,
  recordNamedMetric: ignore,
  recordCPUUtilizationMetric: ignore,
  recordMemoryUtilizationMetric: ignore,
  recordApplicationUtilizationMetric: ignore,
  recordQpsMetric: ignore,
  recordEpsMetric: ignore,
  serialize: () => Buffer.alloc(0),
} satisfies Pick<Recorder, keyof Recorder> as unknown as Recorder;
