/**
 * Runs the application's callbacks on the next tick, one tick for all that a turn has brought, and
 * each by itself: what one of them throws becomes an uncaught exception, as in grpc-js, and neither
 * the session below nor the callbacks after it notice.
 */

/** Something that has callbacks to run. */
export interface Delivery {
  deliver(): void;
}

let queue: Delivery[] = [];
let spare: Delivery[] = [];

/** Calls `delivery.deliver()` on the next tick. Whoever asks twice is called twice. */
export function deliverSoon(delivery: Delivery): void {
  if (queue.push(delivery) === 1) process.nextTick(flush);
}

function flush(): void {
  const due = queue;
  queue = spare;
  for (const delivery of due) {
    try {
      delivery.deliver();
    } catch (error) {
      throwSoon(error);
    }
  }
  due.length = 0;
  spare = due;
}

/** Throws `error` where only the process can catch it. */
export function throwSoon(error: unknown): void {
  process.nextTick(rethrow, error);
}

function rethrow(error: unknown): never {
  // oxlint-disable-next-line typescript/only-throw-error -- it is whatever the application threw
  throw error;
}
