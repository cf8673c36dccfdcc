/** Runs loads: interleaved rounds of all contenders, so that what disturbs one disturbs all. */
import { CONTENDERS } from "./contenders.ts";
import type { Sample } from "./figures.ts";
import type { Load, MicroLoad, WayLoad } from "./load.ts";
import { ForeignLoad, QUIET_SHARE } from "./foreign-load.ts";
import { measureIdle } from "./measure/idle.ts";
import { NotHere } from "./measure/not-here.ts";
import { measureRound } from "./measure/round.ts";
import { measureSlowReader } from "./measure/slow-reader.ts";
import { OPERATIONS } from "./micro/operations.ts";
import { Program } from "./program.ts";
import type { ContenderReport, LoadReport } from "./report.ts";
import { RunningContender } from "./running-contender.ts";

export interface RunOptions {
  readonly rounds: number;
  readonly roundMs: number;
  /** Of the first round of each load, which does not count. */
  readonly warmUpMs: number;
  /** Of the contenders; all unless given. */
  readonly only?: ReadonlySet<string>;
  readonly onProgress: (text: string) => void;
}

const PATIENCE_MS = 30_000;

/** One way to do a load. */
interface Subject {
  readonly name: string;
  readonly title: string;
  readonly measure: (durationMs: number) => Promise<Sample>;
}

/** What a load has brought of one of its subjects so far. */
interface Contender {
  readonly subject: Subject;
  readonly samples: Sample[];
  end: Pick<ContenderReport, "error" | "absence">;
}

export class Runner {
  readonly #options: RunOptions;
  readonly #contenders = new Map<string, Promise<RunningContender>>();
  #micro: Promise<Program> | undefined;

  constructor(options: RunOptions) {
    this.#options = options;
  }

  /** Never throws: a contender that fails has an `error` in the report, and no more rounds. */
  async run(load: Load): Promise<LoadReport> {
    const subjects = load.kind === "micro" ? this.#operations(load) : this.#ways(load);
    const results = await this.#rounds(load, subjects);
    const per = load.kind === "rounds" ? load.per : "call";
    return { name: load.name, title: load.title, per, figures: load.figures, ...results };
  }

  /** Ends the processes of contenders that none of `loads` needs. */
  async release(loads: readonly Load[]): Promise<void> {
    const needed = new Set(
      loads.flatMap((load) =>
        load.kind === "micro" ? [] : load.contenders.map((name) => keyOf(name, load)),
      ),
    );
    for (const [key, contender] of this.#contenders) {
      if (needed.has(key)) continue;
      this.#contenders.delete(key);
      await contender.then(
        (running) => running.stop(),
        () => {},
      );
    }
  }

  /**
   * A round in which others used much of the machine does not count, whatever it showed: it is measured
   * again, as often in all as there are rounds.
   */
  async #rounds(
    load: Load,
    subjects: readonly Subject[],
  ): Promise<Pick<LoadReport, "contenders" | "repeatedRounds">> {
    const rounds = Math.min(this.#options.rounds, load.maxRounds ?? Infinity);
    const contenders = subjects.map((subject): Contender => ({ subject, samples: [], end: {} }));
    // Idle sessions are made but once.
    const isIdle = load.kind === "idle";
    const mayRepeat = isIdle ? 0 : rounds;
    let repeatedRounds = 0;
    // Cold code costs every contender several times what it costs when warm, and not all alike.
    if (!isIdle) await this.#round(load, contenders, "warm-up", this.#options.warmUpMs);
    for (let round = 1; round <= rounds;) {
      const foreign = new ForeignLoad();
      const title = `round ${round} of ${rounds}`;
      const samples = await this.#round(load, contenders, title, this.#options.roundMs);
      if (foreign.share > QUIET_SHARE && repeatedRounds < mayRepeat) {
        repeatedRounds += 1;
        continue;
      }
      for (const [contender, sample] of samples) contender.samples.push(sample);
      round += 1;
    }
    return {
      repeatedRounds,
      contenders: contenders.map(({ subject: { name, title }, samples, end }) => ({
        name,
        title,
        samples,
        ...end,
      })),
    };
  }

  async #round(
    load: Load,
    contenders: readonly Contender[],
    title: string,
    durationMs: number,
  ): Promise<ReadonlyMap<Contender, Sample>> {
    const samples = new Map<Contender, Sample>();
    for (const contender of contenders) {
      const { subject, end } = contender;
      if (end.absence !== undefined || end.error !== undefined) continue;
      this.#options.onProgress(`${load.name}: ${title}, ${subject.title}`);
      try {
        samples.set(contender, await subject.measure(durationMs));
      } catch (error) {
        const why = error instanceof Error ? error.message : String(error);
        contender.end = error instanceof NotHere ? { absence: why } : { error: why };
      }
    }
    return samples;
  }

  #ways(load: WayLoad): Subject[] {
    const { only } = this.#options;
    return load.contenders
      .filter((name) => only?.has(name) ?? true)
      .map((name) => {
        const kind = CONTENDERS.find((contender) => contender.name === name);
        if (kind === undefined) throw new Error(`${load.name}: no contender ${name}`);
        return kind;
      })
      .filter(({ absence }) => absence === undefined)
      .map((kind) => {
        const { name } = kind;
        const key = keyOf(name, load);
        return {
          name,
          title: kind.title,
          measure: async (durationMs) => {
            const started = this.#contenders.get(key) ?? RunningContender.start(kind, load.setting);
            this.#contenders.set(key, started);
            const contender = await started;
            try {
              return await measure(contender, load, durationMs * (load.timeFactor ?? 1));
            } catch (error) {
              // The next load starts it anew.
              this.#contenders.delete(key);
              contender.stop();
              throw error;
            }
          },
        };
      });
  }

  #operations(load: MicroLoad): Subject[] {
    return (OPERATIONS[load.name] ?? []).map(({ name, title }) => ({
      name,
      title,
      measure: async (durationMs) => {
        this.#micro ??= Program.start("micro", {}).then(([program]) => program);
        const run = { load: load.name, operation: name, durationMs: durationMs / 2 };
        const micro = await this.#micro;
        return { operationUs: await micro.call<number>("run", run, durationMs + PATIENCE_MS) };
      },
    }));
  }
}

async function measure(
  contender: RunningContender,
  load: WayLoad,
  durationMs: number,
): Promise<Sample> {
  if (load.kind === "rounds") return measureRound(contender, load, durationMs);
  if (load.kind === "idle") return measureIdle(contender, load, durationMs);
  return measureSlowReader(contender, load, durationMs);
}

/** A contender in a setting has processes of its own, and so have idle sessions, whose memory counts. */
function keyOf(name: string, { kind, setting = {} }: WayLoad): string {
  return [name, kind === "idle" ? "idle" : "", JSON.stringify(setting)].join(" ");
}
