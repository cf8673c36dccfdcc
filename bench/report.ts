/** What a run found: the shape of its JSON, from which table, goals and chart are made. */
import type { Figure, Sample } from "./figures.ts";
import type { Machine } from "./machine.ts";

export interface Report {
  readonly startedAt: string;
  readonly mode: string;
  readonly rounds: number;
  readonly roundMs: number;
  readonly warmUpMs: number;
  readonly machine: Machine;
  /** The share of all cores that others used meanwhile; null where the system does not tell. */
  readonly foreignLoad: number | null;
  readonly loads: readonly LoadReport[];
  readonly goals: readonly GoalReport[];
}

export interface LoadReport {
  readonly name: string;
  readonly title: string;
  /** What CPU time is counted for. */
  readonly per: string;
  /** Rounds that others disturbed, and that do not count. */
  readonly repeatedRounds: number;
  readonly figures: readonly Figure[];
  /** Ratios are against the first. */
  readonly contenders: readonly ContenderReport[];
}

export interface ContenderReport {
  readonly name: string;
  readonly title: string;
  /** One a round, in order: round n of one contender ran right after round n of the one before. */
  readonly samples: readonly Sample[];
  /** Why there are no more. */
  readonly error?: string;
  /** Why there are none on this machine, which is no fault. */
  readonly absence?: string;
}

export interface GoalReport {
  readonly work: string;
  readonly against: string;
  readonly goal: string;
  /** The median of the rounds' ratios; absent where it was not measured. */
  readonly ratio?: number;
  readonly met?: boolean;
}
