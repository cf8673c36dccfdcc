/** A step of dialing that must end: by itself, by the clock, or by the caller's signal. */
import { constants } from "node:os";
import { type Address, formatAddress } from "./address.ts";
import { TransportError } from "./errors.ts";

/** Milliseconds until a dial fails unless its options say otherwise. */
export const DEFAULT_TIMEOUT_MS = 10_000;

/** Node's timers fire at once beyond this. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** What ends an attempt early. */
export interface AttemptLimits {
  /** Milliseconds until the attempt, with a handshake if the kind has one, fails; 10,000 by default. */
  readonly timeoutMs?: number | undefined;
  /** Gives the attempt up. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Runs one step of dialing under its limits.
 *
 * `start` begins the step and is told how to settle it; the function it returns undoes the step
 * and runs only when the step did not succeed.
 *
 * @throws TransportError `timeout`, `closed` when the signal aborted, or what the step rejects with.
 */
export async function attempt<T>(
  address: Address,
  { timeoutMs = DEFAULT_TIMEOUT_MS, signal }: AttemptLimits,
  start: (resolve: (value: T) => void, reject: (error: Error) => void) => () => void,
): Promise<T> {
  if (signal?.aborted === true) {
    throw cancelled(address, signal);
  }
  let undo: () => void = () => {};
  let timer: NodeJS.Timeout | undefined;
  let onAbort: () => void = () => {};
  try {
    return await new Promise<T>((resolve, reject) => {
      undo = start(resolve, reject);
      timer = setTimeout(
        () => {
          reject(
            new TransportError(
              "timeout",
              `${formatAddress(address)} did not answer within ${timeoutMs} ms`,
            ),
          );
        },
        Math.min(timeoutMs, MAX_TIMER_MS),
      );
      onAbort = () => {
        if (signal !== undefined) {
          reject(cancelled(address, signal));
        }
      };
      signal?.addEventListener("abort", onAbort, { once: true });
    });
  } catch (error) {
    undo();
    throw error;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", onAbort);
  }
}

/** The error of an address that cannot be reached or bound. */
export function unreachable(address: Address, doing: string, cause: unknown): TransportError {
  return new TransportError(
    "unreachable",
    `cannot ${doing} ${formatAddress(address)}: ${reason(cause)}`,
    { cause },
  );
}

/** The error of a failed system call, with the name of its `errno`. */
export function systemError(call: string, errno: number): Error {
  const name = Object.entries(constants.errno).find(([, number]) => number === errno)?.[0];
  return Object.assign(new Error(`${call} ${name ?? `errno ${errno}`}`), { code: name });
}

function cancelled(address: Address, signal: AbortSignal): TransportError {
  return new TransportError("closed", `dialing ${formatAddress(address)} was given up`, {
    cause: signal.reason,
  });
}

function reason(cause: unknown): string {
  // A host with several addresses fails with one error for each, under an empty message.
  if (cause instanceof AggregateError) {
    return cause.errors.map(reason).join(", ");
  }
  return cause instanceof Error ? cause.message : String(cause);
}
