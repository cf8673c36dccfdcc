/** What contenders are asked to do. */
import type { Figure } from "./figures.ts";
import type { StreamWork, UnaryWork } from "./work/work.ts";

type Untimed<T> = Omit<T, "durationMs">;

interface LoadHead {
  readonly name: string;
  readonly title: string;
  /** The columns; the first is what the load is about. */
  readonly figures: readonly Figure[];
  /** Whether `--short` has it. */
  readonly inShort: boolean;
}

/** What is between and behind, for those loads that are about it. */
export interface Setting {
  /** Of a long link before the host. */
  readonly roundTripMs?: number;
}

/** Rounds of a time each, one contender after the other. */
export interface RoundsLoad extends LoadHead {
  readonly kind: "rounds";
  readonly work: Untimed<UnaryWork> | Untimed<StreamWork>;
  /** What runs meanwhile, on the same session or on another client's. */
  readonly beside?: { readonly work: Untimed<StreamWork>; readonly on: "same" | "other" };
  /** What CPU time is counted for. */
  readonly per: "call" | "MiB";
  /** By name; ratios are against the first. */
  readonly contenders: readonly string[];
  /** Rounds take so many times as long as others. @default 1 */
  readonly timeFactor?: number;
  readonly setting?: Setting;
}

/** Operations in one process. */
export interface MicroLoad extends LoadHead {
  readonly kind: "micro";
}

export type Load = RoundsLoad | MicroLoad;

const KIB = 1024;
const MIB = 1024 * KIB;

const CALLS: readonly Figure[] = [
  "callsPerSecond",
  "cpuUs",
  "clientCpuUs",
  "hostCpuUs",
  "serverCpuUs",
  "p50Ms",
  "p99Ms",
];
const BYTES: readonly Figure[] = [
  "mibPerSecond",
  "cpuUs",
  "clientCpuUs",
  "hostCpuUs",
  "serverCpuUs",
  "clientPeakMib",
  "hostPeakMib",
  "serverPeakMib",
];
const LATENCY: readonly Figure[] = ["p50Ms", "p99Ms", "besideMibPerSecond", "cpuUs"];

const MAIN = ["plaintext", "tls", "sealrpc"];
const GRID = [...MAIN, "plaintext-proxy", "sidecar"];

function unary(bytes: number, outstanding: number, more: Partial<RoundsLoad> = {}): RoundsLoad {
  const size = bytes < KIB ? `${bytes} B` : `${bytes / KIB} KiB`;
  return {
    name: `unary-${size.replace(" ", "").toLowerCase()}-x${outstanding}`,
    title: `unary ${size}, ${outstanding} outstanding`,
    kind: "rounds",
    work: { kind: "unary", bytes, outstanding },
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
    contenders: [...MAIN, "tls-wide", "sidecar"],
    ...more,
  };
}

function link(direction: "up" | "down"): RoundsLoad {
  return stream(direction, {
    name: `link-${direction}`,
    title: `1 MiB messages streamed ${direction}, 40 ms round trip`,
    contenders: ["tls-wide", "sealrpc"],
    setting: { roundTripMs: 40 },
    timeFactor: 3,
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

function micro(name: string, title: string, inShort = false): MicroLoad {
  return { name, title, kind: "micro", figures: ["operationUs"], inShort };
}

export const LOADS: readonly Load[] = [
  unary(100, 1, { inShort: true }),
  unary(100, 64, { inShort: true, contenders: [...GRID, "sealrpc-bare-proxy"] }),
  unary(64 * KIB, 16, { inShort: true, contenders: [...GRID, "tls-wide"] }),
  stream("down"),
  stream("up"),
  stream("both", { contenders: [...MAIN, "tls-wide", "sidecar", "sealrpc-bare-proxy"] }),
  link("down"),
  link("up"),
  beside("down", "same", { inShort: true }),
  beside("up", "same"),
  beside("both", "same"),
  beside("down", "other", { inShort: true }),
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
