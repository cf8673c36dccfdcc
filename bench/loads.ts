/** What contenders are asked to do: every row of the report. */
import { CONTENDERS } from "./contenders.ts";
import type { Figure } from "./figures.ts";
import type { IdleLoad, Load, MicroLoad, RoundsLoad, SlowReaderLoad } from "./load.ts";
import type { StreamWork } from "./traffic/work.ts";

const KIB = 1024;
const MIB = 1024 * KIB;
/** A document of AWS's module, as it was measured on one instance. */
const NSM_MS = 6;
const LINK_ROUND_TRIP_MS = 40;
/** More in one process cannot verify their documents in time. */
const MAX_REAL_CLIENTS = 100;

const CPU: readonly Figure[] = ["cpuUs", "clientCpuUs", "hostCpuUs", "serverCpuUs"];
const PEAKS: readonly Figure[] = ["clientPeakMib", "hostPeakMib", "serverPeakMib"];
const CALLS: readonly Figure[] = ["callsPerSecond", ...CPU, "p50Ms", "p99Ms", ...PEAKS];
const BYTES: readonly Figure[] = ["mibPerSecond", ...CPU, ...PEAKS];
const LATENCY: readonly Figure[] = ["p50Ms", "p99Ms", "besideMibPerSecond", "cpuUs"];

const MAIN = ["plaintext", "tls", "sealrpc"];
const GRID = [...MAIN, "plaintext-proxy", "sidecar"];
const BULK = [...MAIN, "tls-wide", "sidecar"];
const VARIANTS = CONTENDERS.map(({ name }) => name).filter((name) =>
  /^sealrpc($|-suite|-portable)/.test(name),
);

export const LOADS: readonly Load[] = [
  unary(100, 1, { inShort: true, contenders: [...GRID, "sealrpc-typed", "ehbp"] }),
  unary(100, 16),
  unary(100, 64, {
    inShort: true,
    contenders: [...GRID, "sealrpc-typed", "sealrpc-bare-proxy", "ehbp"],
  }),
  unary(100, 256),
  unary(100, 1000),
  ...[1, 16, 64, 256].map((outstanding) => unary(KIB, outstanding)),
  unary(64 * KIB, 1),
  unary(64 * KIB, 16, { inShort: true, contenders: [...GRID, "tls-wide", "ehbp"] }),
  unary(64 * KIB, 64),
  unary(64 * KIB, 256),
  stream("down"),
  stream("up"),
  stream("both", { contenders: [...BULK, "sealrpc-bare-proxy"] }),
  link("down"),
  link("up"),
  beside("down", "same", { inShort: true }),
  beside("up", "same"),
  beside("both", "same"),
  beside("down", "other", { inShort: true }),
  slowReader(16, false),
  slowReader(16, true),
  variants(unary(100, 64)),
  variants(unary(64 * KIB, 16)),
  variants(stream("down")),
  ...[1, 10, 100].map((clients) => handshakes(clients, 0)),
  handshakes(1000, 0, 2),
  ...[1, 10, 100].map((clients) => handshakes(clients, NSM_MS)),
  handshakes(1000, NSM_MS, 2),
  idle(1),
  idle(100),
  idle(1000, true),
  idle(10_000),
  micro("handshake-cpu", "enclave's part of a handshake, without the security module", true),
  micro("verify-warm", "verify a document, authorities known", true),
  micro("verify-cold", "verify a document, nothing known"),
  micro("seal-1kib", "seal a record of 1 KiB", true),
  micro("open-1kib", "open a record of 1 KiB"),
  micro("seal-64kib", "seal a record of 64 KiB"),
  micro("open-64kib", "open a record of 64 KiB"),
  micro("frames", "frames of 64 messages of 100 B"),
  micro("session-turn-x1", "session, both ends, 1 call a turn"),
  micro("session-turn-x64", "session, both ends, 64 calls a turn"),
];

function unary(bytes: number, outstanding: number, more: Partial<RoundsLoad> = {}): RoundsLoad {
  const size = bytes < KIB ? `${bytes} B` : `${bytes / KIB} KiB`;
  return {
    name: `unary-${size.replace(" ", "").toLowerCase()}-x${outstanding}`,
    title: `unary ${size}, ${outstanding} outstanding`,
    kind: "rounds",
    work: { kind: "unary", bytes, outstanding },
    // One after the other makes few calls, and code is warm after so many.
    ...(outstanding === 1 ? { timeFactor: 3 } : {}),
    per: "call",
    figures: CALLS,
    inShort: false,
    contenders: GRID,
    ...more,
  };
}

function stream(direction: StreamWork["direction"], more: Partial<RoundsLoad> = {}): RoundsLoad {
  return {
    name: `stream-${direction}`,
    title: `1 MiB messages streamed ${direction === "both" ? "both ways" : direction}`,
    kind: "rounds",
    work: { kind: "stream", direction, messageBytes: MIB },
    per: "MiB",
    figures: BYTES,
    inShort: true,
    contenders: BULK,
    ...more,
  };
}

function link(direction: "up" | "down"): RoundsLoad {
  return stream(direction, {
    name: `link-${direction}`,
    title: `1 MiB messages streamed ${direction}, ${LINK_ROUND_TRIP_MS} ms round trip`,
    contenders: ["tls-wide", "sealrpc"],
    setting: { roundTripMs: LINK_ROUND_TRIP_MS },
    work: { kind: "stream", direction, messageBytes: MIB, leadMs: 20 * LINK_ROUND_TRIP_MS },
    timeFactor: 4,
  });
}

function beside(
  direction: StreamWork["direction"],
  on: "same" | "other",
  more: Partial<RoundsLoad> = {},
): RoundsLoad {
  const way = direction === "both" ? "both ways" : direction;
  return {
    name: `beside-${direction}${on === "same" ? "" : "-other"}`,
    title: `unary 100 B beside 1 MiB messages ${way}, ${on} session`,
    kind: "rounds",
    work: { kind: "unary", bytes: 100, outstanding: 1 },
    beside: { work: { kind: "stream", direction, messageBytes: MIB }, on },
    per: "call",
    figures: LATENCY,
    inShort: false,
    contenders: MAIN,
    ...more,
  };
}

function handshakes(clients: number, nsmMs: number, maxRounds = 3): RoundsLoad {
  return {
    name: `handshakes-x${clients}${nsmMs === 0 ? "" : `-nsm-${nsmMs}ms`}`,
    title: `handshakes, ${clients} at once, NSM ${nsmMs} ms a document`,
    kind: "rounds",
    work: { kind: "handshakes", clients },
    per: "handshake",
    figures: ["callsPerSecond", ...CPU, "p50Ms", "p99Ms", "retries"],
    contenders: [
      ...(nsmMs === 0 ? ["tls"] : []),
      ...(clients > MAX_REAL_CLIENTS ? [] : ["sealrpc"]),
      "sealrpc-credulous",
    ],
    setting: { nsmMs },
    inShort: false,
    maxRounds,
  };
}

function idle(sessions: number, inShort = false): IdleLoad {
  return {
    name: `idle-${sessions}`,
    title: `${sessions} idle ${sessions === 1 ? "session" : "sessions"}: memory of each, and 100 B calls beside, 64 outstanding`,
    kind: "idle",
    sessions,
    figures: ["serverKib", "clientKib", "hostKib", "callsPerSecond", ...CPU, ...PEAKS],
    contenders: MAIN,
    maxRounds: 1,
    inShort,
  };
}

function slowReader(calls: number, stopped: boolean): SlowReaderLoad {
  return {
    name: `slow-reader-${stopped ? "stopped" : "calls"}`,
    title: `${calls} unread downloads, ${stopped ? "the client stands still" : "the client lives"}`,
    kind: "slow-reader",
    calls,
    stopped,
    figures: ["serverGrownMib", "clientGrownMib", "hostGrownMib"],
    contenders: MAIN,
    maxRounds: 3,
    timeFactor: 2,
    inShort: false,
  };
}

function micro(name: string, title: string, inShort = false): MicroLoad {
  return { name, title, kind: "micro", figures: ["operationUs"], inShort };
}

/** The same with every suite and every crypto backend. */
function variants<Kind extends RoundsLoad>(load: Kind): Kind {
  return {
    ...load,
    name: `suites-${load.name}`,
    title: `${load.title}, by suite`,
    contenders: VARIANTS,
    inShort: false,
  };
}
