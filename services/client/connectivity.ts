/** The state of a channel as gRPC defines it, and those who wait for it to change. */
import { connectivityState as State } from "@grpc/grpc-js";

import { throwSoon } from "./listener-queue.ts";

const MAX_TIMER_MS = 2 ** 31 - 1;

interface Watcher {
  readonly seen: State;
  readonly callback: (error?: Error) => void;
  readonly timer: NodeJS.Timeout | undefined;
}

export class Connectivity {
  #state: State = State.IDLE;
  readonly #watchers = new Set<Watcher>();

  get state(): State {
    return this.#state;
  }

  /** Tells every watcher that knew another state. */
  set(state: State): void {
    if (state === this.#state || this.#state === State.SHUTDOWN) return;
    this.#state = state;
    // A watcher may watch again, and change the state, from its callback.
    for (const watcher of this.#watchers) {
      if (watcher.seen !== this.#state) this.#call(watcher);
    }
  }

  /**
   * Calls back once: without an error when the state is, or becomes, another than `seen`; with one
   * when `deadline` passes first.
   */
  watch(seen: State, deadline: Date | number, callback: (error?: Error) => void): void {
    const leftMs = Number(deadline) - Date.now();
    if (seen !== this.#state) {
      process.nextTick(callback);
    } else if (leftMs <= 0) {
      process.nextTick(callback, deadlinePassed());
    } else {
      const timer =
        leftMs <= MAX_TIMER_MS
          ? setTimeout(() => {
              this.#call(watcher, deadlinePassed());
            }, leftMs)
          : undefined;
      const watcher: Watcher = { seen, callback, timer };
      this.#watchers.add(watcher);
    }
  }

  #call(watcher: Watcher, error?: Error): void {
    this.#watchers.delete(watcher);
    clearTimeout(watcher.timer);
    try {
      watcher.callback(error);
    } catch (thrown) {
      throwSoon(thrown);
    }
  }
}

function deadlinePassed(): Error {
  return new Error("Deadline passed without connectivity state change");
}
