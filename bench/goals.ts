/** The numbers that the project sets itself, and whether a run reached them. */
import { type Figure, ratioOf } from "./figures.ts";
import type { GoalReport, LoadReport } from "./report.ts";

interface Goal {
  readonly work: string;
  readonly against: string;
  readonly load: string;
  readonly figure: Figure;
  readonly contender: string;
  readonly base: string;
  readonly atLeast?: number;
  readonly atMost?: number;
}

const GOALS: readonly Goal[] = [
  ...unary("unary 100 B, 64 outstanding", "unary-100b-x64", 6, 0.16),
  ...unary("the same by createClient", "unary-100b-x64", 6, 0.16, "sealrpc-typed"),
  ...unary("unary 100 B, 1 outstanding", "unary-100b-x1", 1.2, 0.8),
  ...unary("the same by createClient", "unary-100b-x1", 1.2, 0.8, "sealrpc-typed"),
  {
    work: "unary 64 KiB, 16 outstanding, calls/s",
    against: "TLS through L4",
    load: "unary-64kib-x16",
    figure: "callsPerSecond",
    contender: "sealrpc",
    base: "tls",
    atLeast: 1.5,
  },
  ...(["down", "up", "both"] as const).map((direction): Goal => ({
    work: `1 MiB messages ${direction === "both" ? "both ways" : direction}, bytes/s`,
    against: "TLS through L4",
    load: `stream-${direction}`,
    figure: "mibPerSecond",
    contender: "sealrpc",
    base: "tls",
    atLeast: 1.2,
  })),
  ...beside("same", 1),
  ...beside("other", 1.5),
  ...(["down", "up"] as const).map((direction): Goal => ({
    work: `one session over 40 ms, ${direction}, bytes/s`,
    against: "TLS through L4, windows raised",
    load: `link-${direction}`,
    figure: "mibPerSecond",
    contender: "sealrpc",
    base: "tls-wide",
    atLeast: 1,
  })),
  {
    work: "sidecar and bridge, 100 B, 64 outstanding, calls/s",
    against: "plaintext, bare HTTP/2 proxy",
    load: "unary-100b-x64",
    figure: "callsPerSecond",
    contender: "sidecar",
    base: "plaintext-proxy",
    atLeast: 1,
  },
  {
    work: "handshake, enclave without the NSM, CPU",
    against: "one X25519 and HKDF in node:crypto",
    load: "handshake-cpu",
    figure: "operationUs",
    contender: "sealrpc-suite-1",
    base: "x25519-hkdf",
    atMost: 3,
  },
  {
    work: "verify a document, authorities known, CPU",
    against: "two P-384 verifications in node:crypto",
    load: "verify-warm",
    figure: "operationUs",
    contender: "sealrpc",
    base: "p384-x2",
    atMost: 1.25,
  },
  {
    work: "seal a record of 1 KiB, CPU",
    against: "the bare AEAD in node:crypto",
    load: "seal-1kib",
    figure: "operationUs",
    contender: "sealrpc",
    base: "aead",
    atMost: 1.5,
  },
  {
    work: "idle session, memory in the enclave",
    against: "an idle grpc-js connection",
    load: "idle-1000",
    figure: "serverKib",
    contender: "sealrpc",
    base: "plaintext",
    atMost: 2,
  },
  ...["unary-100b-x64", "stream-both"].map((load): Goal => ({
    work: `proxy, sealed streams (${load}), CPU`,
    against: "a bare node:http2 pipe",
    load,
    figure: "hostCpuUs",
    contender: "sealrpc",
    base: "sealrpc-bare-proxy",
    atMost: 1.1,
  })),
];

/** Those whose loads were run. */
export function judge(loads: readonly LoadReport[]): GoalReport[] {
  return GOALS.flatMap((goal) => {
    const load = loads.find(({ name }) => name === goal.load);
    if (load === undefined) return [];
    const samples = (name: string) =>
      load.contenders.find((contender) => contender.name === name)?.samples ?? [];
    const ratio = ratioOf(samples(goal.contender), samples(goal.base), goal.figure)?.median;
    const { work, against, atLeast, atMost } = goal;
    const text = atLeast === undefined ? `<= ${atMost}x` : `>= ${atLeast}x`;
    if (ratio === undefined) return [{ work, against, goal: text }];
    const met = ratio >= (atLeast ?? 0) && ratio <= (atMost ?? Infinity);
    return [{ work, against, goal: text, ratio, met }];
  });
}

function unary(
  work: string,
  load: string,
  atLeast: number,
  atMost: number,
  contender = "sealrpc",
): Goal[] {
  const common = { against: "plaintext", load, contender, base: "plaintext" };
  return [
    { ...common, work: `${work}, calls/s`, figure: "callsPerSecond", atLeast },
    { ...common, work: `${work}, CPU of all`, figure: "cpuUs", atMost },
  ];
}

function beside(on: "same" | "other", atMost: number): Goal[] {
  return (["p50Ms", "p99Ms"] as const).map((figure) => ({
    work: `${figure.slice(0, 3)} beside a 1 MiB stream, ${on} session`,
    against: "TLS through L4",
    load: on === "same" ? "beside-down" : "beside-down-other",
    figure,
    contender: "sealrpc",
    base: "tls",
    atMost,
  }));
}
