/** The kinds of load that contenders can be given. */
import type { Setting } from "./contenders.ts";
import type { Figure } from "./figures.ts";
import type { HandshakesWork, StreamWork, UnaryWork } from "./traffic/work.ts";

type Untimed<T> = Omit<T, "durationMs">;

interface LoadHead {
  readonly name: string;
  readonly title: string;
  /** The columns; the first is what the load is about. */
  readonly figures: readonly Figure[];
  /** Whether `--short` has it. */
  readonly inShort: boolean;
  /** Not more than so many rounds, whatever the mode. */
  readonly maxRounds?: number;
}

/** What several processes do. */
interface WayHead extends LoadHead {
  /** By name; ratios are against the first. */
  readonly contenders: readonly string[];
  readonly setting?: Setting;
  /** Rounds take so many times as long as others. @default 1 */
  readonly timeFactor?: number;
}

/** Rounds of a time each, one contender after the other. */
export interface RoundsLoad extends WayHead {
  readonly kind: "rounds";
  readonly work: Untimed<UnaryWork> | Untimed<StreamWork> | Untimed<HandshakesWork>;
  /** What runs meanwhile, on the same session or on another client's. */
  readonly beside?: { readonly work: Untimed<StreamWork>; readonly on: "same" | "other" };
  /** What CPU time is counted for. */
  readonly per: "call" | "MiB" | "handshake";
}

/** So many idle sessions, each on a connection of its own. */
export interface IdleLoad extends WayHead {
  readonly kind: "idle";
  readonly sessions: number;
}

/** Calls whose answers are not read. */
export interface SlowReaderLoad extends WayHead {
  readonly kind: "slow-reader";
  readonly calls: number;
  /** Whether the reader's process stands still, and not only its calls. */
  readonly stopped: boolean;
}

/** Operations in one process. */
export interface MicroLoad extends LoadHead {
  readonly kind: "micro";
}

export type WayLoad = RoundsLoad | IdleLoad | SlowReaderLoad;
export type Load = WayLoad | MicroLoad;
